// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"
	. "github.com/smartystreets/goconvey/convey"
)

func authBy(kind string) func(c *Config) { return func(c *Config) { c.Auth = kind } }

// doorman answers questions: secret bearers are alice, the rest is refused; "wait" gets no answer.
func doorman(conn *nats.Conn) {
	must(conn.QueueSubscribe("zl.auth.app", "auth", func(m *nats.Msg) {
		said := string(m.Data)
		if first(m.Header, headerKind) == kindRequest {
			said = first(m.Header, "WS-Header-Authorization")
		}
		answer := nats.NewMsg(m.Reply)
		switch said {
		case "wait":
			return
		case "secret":
			answer.Header = nats.Header{headerStatus: {"200"}, headerUser: {"alice"}, headerGroups: {"a, b"}, headerService: {"chat"}}
			answer.Data = []byte("welcome")
		case "odd":
			answer.Header = nats.Header{headerStatus: {"200"}, headerService: {"no service"}}
		default:
			answer.Header = nats.Header{headerStatus: {"401"}, headerError: {"who are you?"}}
		}
		noError(m.RespondMsg(answer))
	}))
	noError(conn.Flush())
}

func bearer(token string) http.Header { return http.Header{"Authorization": {token}} }

func TestAuthenticationByRequest(t *testing.T) {
	Convey("The upgrade request goes to a subject", t, func() {
		g := start(t, authBy(authRequest), func(c *Config) { c.AuthTimeout = patience })
		hasty := start(t, authBy(authRequest), at(g.NATS()), func(c *Config) { c.AuthTimeout = 50 * time.Millisecond })
		_, err := open(g, "/", bearer("secret"))
		So(fmt.Sprint(err), ShouldContainSubstring, "503") // nobody can say
		conn := backEnd(t, g.NATS())
		events, in := listenTo(conn, "zl.event.>"), listenTo(conn, "zl.in.>")
		doorman(conn)

		b := must(open(g, "/", bearer("secret")))
		body, _, err := b.read()
		So(err, ShouldBeNil)
		So(body, ShouldEqual, "welcome")
		come := next(events)
		So(come.Subject, ShouldStartWith, "zl.event.chat.connect.")
		So(first(come.Header, headerUser), ShouldEqual, "alice")
		So(first(come.Header, headerGroups), ShouldEqual, "a, b")
		So(first(come.Header, "WS-Header-Authorization"), ShouldEqual, "") // a password is for questions only
		b.text("hello")
		m := next(in)
		So(m.Subject, ShouldStartWith, "zl.in.chat.")
		So(first(m.Header, headerUser), ShouldEqual, "alice")
		So(first(m.Header, headerText), ShouldEqual, "1")
		So(g.groups.count(), ShouldEqual, 2)

		for token, status := range map[string]string{"": "401", "wrong": "401", "odd": "502"} {
			_, err := open(g, "/", bearer(token))
			So(token+fmt.Sprint(err), ShouldContainSubstring, status)
		}
		_, err = open(hasty, "/", bearer("wait"))
		So(fmt.Sprint(err), ShouldContainSubstring, "504")
		So(until(func() bool { return metric(hasty, `auth_total{result="timeout"}`) == "1" }), ShouldBeTrue)
		So(until(func() bool { return metric(g, "clients") == "1" }), ShouldBeTrue)
		for result, n := range map[string]string{"accepted": "1", "refused": "2", "malformed": "1", "timeout": "0", "no_responders": "1"} {
			So(until(func() bool { return metric(g, `auth_total{result="`+result+`"}`) == n }), ShouldBeTrue)
		}

		p := dial(t, g) // who has no request is asked for a first message
		p.send("secret")
		So(must(p.read()), ShouldEqual, "welcome")
	})
}

func TestAuthenticationByMessage(t *testing.T) {
	Convey("The first message goes to a subject, and later ones wait for the answer", t, func() {
		g := start(t, authBy(authMessage), func(c *Config) { c.AuthTimeout = patience })
		hasty := start(t, authBy(authMessage), at(g.NATS()), func(c *Config) { c.AuthTimeout = 50 * time.Millisecond })
		conn := backEnd(t, g.NATS())
		events, in := listenTo(conn, "zl.event.>"), listenTo(conn, "zl.in.>")
		doorman(conn)

		p := dial(t, g)
		for _, body := range []string{"secret", "one", "two", "three"} {
			p.send(body)
		}
		So(must(p.read()), ShouldEqual, "welcome")
		So(next(events).Subject, ShouldStartWith, "zl.event.chat.connect.")
		for _, body := range []string{"one", "two", "three"} {
			m := next(in)
			So(string(m.Data), ShouldEqual, body)
			So(first(m.Header, headerUser), ShouldEqual, "alice")
		}

		refused := dial(t, g)
		refused.send("wrong")
		_, err := refused.read()
		So(err, ShouldNotBeNil)
		for said, code := range map[string]int{"wrong": 4401, "odd": 4502} {
			b := must(open(g, "/", nil))
			b.text(said)
			got, _ := b.closed()
			So(got, ShouldEqual, code)
		}
		unanswered, silent := must(open(hasty, "/", nil)), must(open(hasty, "/", nil))
		unanswered.text("wait")
		for _, b := range []*browser{unanswered, silent} {
			code, _ := b.closed()
			So(code, ShouldEqual, 4504)
		}
		flood := dial(t, g)
		flood.send("wait")
		for range 4 {
			flood.send(strings.Repeat("x", 20000))
		}
		_, err = flood.read()
		So(err, ShouldNotBeNil)
		So(until(func() bool { return metric(g, `auth_total{result="busy"}`) == "1" }), ShouldBeTrue)
		So(metric(g, "connects_total"), ShouldEqual, "1")
		So(until(func() bool { return metric(g, `dropped_total{way="in",reason="auth"}`) == "4" }), ShouldBeTrue)

		waiting := dial(t, g)
		waiting.send("wait")
		var asked *client
		So(until(func() bool {
			for _, c := range g.everyone() {
				if c.state.Load() == stateAsked {
					asked = c
				}
			}
			return asked != nil
		}), ShouldBeTrue)
		status, _ := ask(conn, fmt.Sprintf("zl.out.%s.%d", g.Server(), asked.id), nil, []byte("too early"))
		So(status, ShouldEqual, "409")
		So(command(conn, g, `{"op":"join","id":%d,"group":"a"}`, asked.id), ShouldEqual, "409")
	})
}

// everyone returns the clients there are.
func (g *Gateway) everyone() (all []*client) {
	g.clients.mu.RLock()
	defer g.clients.mu.RUnlock()
	for _, c := range g.clients.all {
		all = append(all, c)
	}
	return all
}

// signCritical signs a token with a header that has to be understood.
func signCritical(key []byte) string {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "bob", "aud": "games", "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["crit"], token.Header["b64"] = []string{"b64"}, true
	return must(token.SignedString(key))
}

func TestTokens(t *testing.T) {
	Convey("The gateway verifies tokens itself", t, func() {
		secret := []byte(strings.Repeat("s", 32))
		file := filepath.Join(t.TempDir(), "key")
		noError(os.WriteFile(file, secret, 0o600))
		g := start(t, authBy(authRequest), func(c *Config) { c.JWTKey, c.JWTAudience = file, "games" })
		conn := backEnd(t, g.NATS())
		events := listenTo(conn, "zl.event.*.connect.>")
		sign := func(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
			c := jwt.MapClaims{"sub": "bob", "aud": "games", "exp": time.Now().Add(time.Hour).Unix(), "groups": []string{"g"}}
			change(c)
			return must(jwt.NewWithClaims(method, c).SignedString(key))
		}
		good := sign(jwt.SigningMethodHS256, secret, func(jwt.MapClaims) {})
		b := must(open(g, "/", bearer("Bearer "+good)))
		come := next(events)
		So(first(come.Header, headerUser), ShouldEqual, "bob")
		So(first(come.Header, headerGroups), ShouldEqual, "g")
		must(open(g, "/?token="+good, nil))
		So(first(next(events).Header, "WS-Query"), ShouldEqual, "") // it has the token
		p := dial(t, g)
		p.send(good)
		So(first(next(events).Header, headerUser), ShouldEqual, "bob")
		So(b.conn.Close(), ShouldBeNil)

		for name, token := range map[string]string{
			"none": "", "text": "Bearer x", "another key": sign(jwt.SigningMethodHS256, []byte(strings.Repeat("t", 32)), func(jwt.MapClaims) {}),
			"over":              sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() }),
			"no end":            sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { delete(c, "exp") }),
			"of others":         sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { c["aud"] = "else" }),
			"another method":    sign(jwt.SigningMethodHS512, secret, func(jwt.MapClaims) {}),
			"not signed":        sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, func(jwt.MapClaims) {}),
			"two groups in one": sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { c["groups"] = []string{"a,b"} }),
			"critical":          signCritical(secret),
			"a group of none":   sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) { c["groups"] = []string{"*"} }),
		} {
			_, err := open(g, "/", bearer("Bearer "+token))
			So(name+fmt.Sprint(err), ShouldContainSubstring, "401")
		}
		var short *browser
		for life := 2 * time.Second; short == nil; life *= 2 { // longer where the machine is slow
			short, _ = open(g, "/", bearer("Bearer "+sign(jwt.SigningMethodHS256, secret, func(c jwt.MapClaims) {
				c["exp"] = time.Now().Add(life).Unix()
			})))
		}
		code, _ := short.closed()
		So(code, ShouldEqual, 4401)
	})
}
