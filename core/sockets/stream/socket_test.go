package stream

import (
	"testing"
	"time"

	"github.com/zlink/zlink/core"
)

func TestSmoke(t *testing.T) {
	ctx := core.NewContext()
	srv, _ := New(ctx)
	cli, _ := New(ctx)
	if err := srv.Bind("tcp://127.0.0.1:*"); err != nil {
		t.Fatal(err)
	}
	t.Log(srv.opt.lastEndpoint)
	if err := cli.Connect(srv.opt.lastEndpoint); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	id := make([]byte, 4)
	recv := func(k *Socket) string {
		n, more, err := k.Recv(id, false)
		if err != nil || n != 4 || !more {
			t.Fatal(n, more, err)
		}
		n, more, err = k.Recv(buf, false)
		if err != nil || more {
			t.Fatal(n, more, err)
		}
		return string(buf[:n])
	}
	t.Logf("srv %q", recv(srv))
	t.Logf("cli %q", recv(cli))
	for range 10 {
		start := time.Now()
		cli.Send(id, true, false)
		if err := cli.Send([]byte("hello"), false, false); err != nil {
			t.Fatal(err)
		}
		t.Logf("srv %q", recv(srv))
		srv.Send(id, true, false)
		srv.Send([]byte("world"), false, false)
		t.Logf("cli %q %v", recv(cli), time.Since(start))
	}
	srv.Close()
	cli.Close()
	ctx.Term()
}
