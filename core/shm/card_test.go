// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// The runtime ends the process if the collector is shown a card that is gone.
func TestCardsComeAndGo(t *testing.T) {
	Convey("Slots whose cards are free again get others while the collector runs", t, func() {
		defer debug.SetGCPercent(debug.SetGCPercent(1))
		k := NewQueues()
		defer FreeQueues(k)
		account := NewAccount()
		defer FreeAccount(account)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					runtime.GC()
				}
			}
		}()
		var sessions [500]*Session
		for round := range 200 {
			texts := bytes.Repeat([]byte{'x'}, round*7%900)
			for i := range sessions {
				sessions[i] = NewSession(k, nil)
				sessions[i].SetCard(account, Peer{}, texts, false)
			}
			for _, s := range sessions {
				s.Release()
			}
		}
		close(stop)
		<-stopped
		So(account.Cards.Load(), ShouldEqual, 0)
	})
}

// What is given for a peer is freed with its last message once the receiver has its end, whatever
// the sessions that have the card still do.
func TestDataOfCards(t *testing.T) {
	Convey("Data is given for a peer of a session", t, func() {
		k := NewQueues()
		defer FreeQueues(k)
		account := NewAccount()
		defer FreeAccount(account)
		freed := 0
		was := FreePeerData
		FreePeerData = func(g Given) { freed += int(g.Data) }
		defer func() { FreePeerData = was }()
		s := NewSession(k, nil)
		s.SetCard(account, Peer{}, nil, true)
		s.GiveData(Given{Data: 1, Free: 1})()
		message := func() *Card { // as retain_card of C
			s.Card().Refs.Add(1)
			return s.Card()
		}
		over := func() { s.EndData()() }
		wantNothing := func() {
			So(account.Cards.Load(), ShouldEqual, 0)
			So(freed, ShouldEqual, 1)
		}
		Convey("the end frees it, once, and nothing more is given", func() {
			over()
			So(freed, ShouldEqual, 1)
			over()
			So(s.GiveData(Given{Data: 10, Free: 1}), ShouldBeNil)
			So(s.Box(), ShouldBeNil)
			m := message() // that the queue has room again
			m.Release()
			So(account.Cards.Load(), ShouldBeGreaterThan, 0)
			s.Release()
			wantNothing()
		})
		Convey("a message keeps it longer than the end, and than the session", func() {
			m, n := message(), message()
			over()
			m.Release()
			So(freed, ShouldEqual, 0)
			s.Release()
			So(freed, ShouldEqual, 0)
			n.Release()
			wantNothing()
		})
		Convey("the last message frees it before the session goes", func() {
			m := message()
			over()
			m.Release()
			So(freed, ShouldEqual, 1)
			s.Release()
			wantNothing()
		})
		Convey("the session that asked keeps it, too, whichever goes first", func() {
			asker := NewSession(k, nil)
			asker.ShareCard(s)
			over()
			So(freed, ShouldEqual, 0)
			asker.Release()
			So(freed, ShouldEqual, 1)
			s.Release()
			wantNothing()
		})
		Convey("a session without an end frees it", func() {
			asker := NewSession(k, nil)
			asker.ShareCard(s)
			s.Release()
			So(freed, ShouldEqual, 0)
			asker.Release()
			wantNothing()
		})
	})
}
