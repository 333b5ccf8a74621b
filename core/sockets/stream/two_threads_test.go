// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// In COMPAT one goroutine receives while another one sends; what the receiver hands
// over, the sender sends back.
func TestCompatReceiverAndSender(t *testing.T) {
	const peers, rounds, messages = 8, 5, 40
	Convey("One goroutine receives and another one sends, over both kinds of connections", t, func() {
		server := newSocket(t, newContext(t))
		set(t, server, sockets.OptSndHwm, 30) // the sender has to wait, and to be refused
		endpoint := bind(t, server)

		answers := make(chan message, 1000)
		received := make(chan error, 1)
		go func() {
			defer close(answers)
			for over := 0; over < peers*rounds; {
				m, err := receive(server)
				if err != nil {
					received <- err
					return
				}
				switch m.body {
				case disconnected:
					over++
				case connected:
				default:
					answers <- m
				}
			}
			received <- nil
		}()
		sent := make(chan error, 1)
		go func() {
			var failed error
			for m := range answers {
				dontWait := len(m.body)%2 == 0
				failed = sendUntilTaken(server, m, dontWait)
				if errno.Of(failed) == errno.EHOSTUNREACH {
					failed = nil // it has gone
				}
				if failed != nil {
					break
				}
			}
			for range answers { // nobody waits for room
			}
			sent <- failed
		}()

		var clients sync.WaitGroup
		wrong := make(chan string, peers)
		for n := range peers {
			clients.Add(1)
			go func() {
				defer clients.Done()
				for round := range rounds {
					if text := talkInOrder(t, endpoint, n, round, messages); text != "" {
						wrong <- text
						return
					}
				}
			}()
		}
		clients.Wait()
		close(wrong)
		for text := range wrong {
			t.Error(text)
		}
		So(<-received, ShouldBeNil)
		So(<-sent, ShouldBeNil)
	})
}

// sendUntilTaken sends a message; a body that is refused comes again.
func sendUntilTaken(k *Socket, m message, dontWait bool) error {
	for {
		err := k.SendFrame([]byte(m.id), true, dontWait)
		if err == nil {
			err = k.SendFrame([]byte(m.body), false, dontWait)
		}
		if errno.Of(err) != errno.EAGAIN {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// talkInOrder sends messages of a connection and compares the answers; "" or what was
// wrong.
func talkInOrder(t *testing.T, endpoint string, n, round, messages int) string {
	p := dial(t, endpoint)
	defer func() { _ = p.Close() }()
	var bodies []string
	for i := range messages {
		bodies = append(bodies, fmt.Sprintf("%d/%d/%d ", n, round, i)+strings.Repeat(strconv.Itoa(i%10), i*i*7%40_000))
	}
	go func() {
		for _, body := range bodies {
			if _, err := p.Write(frame(body)); err != nil {
				return // the answers tell
			}
		}
	}()
	for i, body := range bodies {
		got, err := p.body()
		if err != nil || got != body {
			return fmt.Sprintf("message %d of peer %d: %.20q (%v), not %.20q", i, n, got, err, body)
		}
	}
	return ""
}
