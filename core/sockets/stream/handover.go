// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"time"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// A process that is to be replaced hands its listening descriptors to the next one. Both accept
// from the same queues then, so nobody who connects meanwhile is refused or reset, and the old
// process may leave at any time. Whatever goes wrong, the old process serves on.

// exchangeTime bounds the exchange with a process that has come, however long Handover may wait
// for one. It changes in tests only.
var exchangeTime = 10 * time.Second

// Handover gives the socket's listeners to another process, whose Takeover asks for them at the
// path, or "@name", of a local socket that exists until it has come. timeout bounds the
// whole; a negative one is none, but nobody who has come may take longer than ten seconds. After a
// success both processes accept connections, until Unbind or Drain ends that here; those that
// wait are then left to the other process. After an error the socket serves on as before.
// Connections stay. Any goroutine may call Handover.
//
// ETIMEDOUT: nobody has come, or the exchange takes too long. EACCES: the other process is
// of another user, and not root's. EPROTO: it is no Takeover of this version. ECONNRESET: it has
// ended. ECANCELED: it cannot use the listeners. EINVAL: the socket has none. EMSGSIZE: it has more
// than 253. EFSM: it drains. EADDRINUSE and others: the path cannot be listened at.
func (k *Socket) Handover(path string, timeout time.Duration) error {
	return k.withChannel(timeout, func(c *channel) error {
		if err := k.gives(); err != nil {
			return err
		}
		if err := engine.CheckMeetingPlace(path); err != nil {
			return err
		}
		fd, end, err := engine.ListenAt(path)
		if err != nil {
			return err
		}
		c.state = k.gives // a drain ends the wait, and the path is the next process's
		c.fd, err = c.accept(fd)
		c.state = k.state
		end() // before the exchange, because the next process soon waits at the path itself
		if err != nil {
			return err
		}
		defer sys.Close(c.fd)
		return k.giveListeners(c)
	})
}

// HandoverTo is Handover over a connected local stream socket, which stays the caller's.
func (k *Socket) HandoverTo(fd int, timeout time.Duration) error {
	return k.withChannel(timeout, func(c *channel) error {
		c.fd = fd
		return k.giveListeners(c)
	})
}

// Takeover binds the endpoints of a process that waits in Handover at a path, with this socket's
// options and the other's listening descriptors. After a success both processes accept
// connections. Without one, nothing is bound. It counts as a Bind of each endpoint.
//
// ENOENT, ECONNREFUSED: no process hands over at the path. ETIMEDOUT: it takes too long. EACCES:
// the other process is of another user, and not root's. EPROTO: it is no Handover of this
// version. ECONNRESET: it ended, or refused, before all had come. Others: those of Bind.
func (k *Socket) Takeover(path string, timeout time.Duration) error {
	return k.withChannel(timeout, func(c *channel) (err error) {
		if err := engine.CheckMeetingPlace(path); err != nil {
			return err
		}
		if c.fd, err = c.connect(path); err != nil {
			return err
		}
		defer sys.Close(c.fd)
		return k.takeListeners(c)
	})
}

// TakeoverFrom is Takeover over a connected local stream socket, which stays the caller's.
func (k *Socket) TakeoverFrom(fd int, timeout time.Duration) error {
	return k.withChannel(timeout, func(c *channel) error {
		c.fd = fd
		return k.takeListeners(c)
	})
}

func (k *Socket) withChannel(timeout time.Duration, call func(*channel) error) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	c := &channel{fd: -1, state: k.state}
	if timeout >= 0 {
		c.end = time.Now().Add(timeout)
	}
	return call(c)
}

// gives tells why the socket has nothing to hand over, or nil.
func (k *Socket) gives() error {
	if err := k.state(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mayLend()
}

// mayLend is gives of a socket that is open. k.mu is locked.
func (k *Socket) mayLend() error {
	if err := k.takesEndpoints(); err != nil {
		return err
	}
	switch n := len(k.listeners); {
	case n == 0:
		return errno.New(errno.EINVAL, "the socket listens nowhere: there is nothing to hand over")
	case n > sys.MostPassed:
		return errno.New(errno.EMSGSIZE, "%d listeners are too many to hand over, at most %d", n, sys.MostPassed)
	}
	return nil
}

// giveListeners is the side of the old process.
func (k *Socket) giveListeners(c *channel) error {
	c.within(exchangeTime)
	if err := c.trust(); err != nil {
		c.refuse(err)
		return err
	}
	// Nothing goes out before the other has said what it is.
	if _, err := c.read(tagTake, 0); err != nil {
		c.refuse(err)
		return err
	}
	lent, state, err := k.lend()
	defer state.close()
	if err == nil {
		err = c.write(tagHand, state.encode(), state.fds)
	}
	if err != nil {
		c.refuse(err)
		return err
	}
	if _, err := c.read(tagDone, 0); err != nil {
		return err
	}
	for _, l := range lent {
		l.TakenOver()
	}
	return nil
}

// lend returns the listeners, and what another process needs of them.
func (k *Socket) lend() (lent []*listening, state handed, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err = k.mayLend(); err != nil {
		return nil, state, err
	}
	for _, l := range k.listeners {
		fd, err := l.Lend()
		if err != nil {
			return nil, state, err
		}
		state.fds = append(state.fds, fd)
		state.texts = append(state.texts, l.texts[0])
		lent = append(lent, l)
	}
	return lent, state, nil
}

// takeListeners is the side of the new process.
func (k *Socket) takeListeners(c *channel) error {
	c.within(exchangeTime)
	if err := c.trust(); err != nil {
		return err
	}
	// An old process that has ended, or refuses this one, may have said so.
	if err := c.write(tagTake, nil, nil); err != nil && errno.Of(err) != errno.ECONNRESET {
		return err
	}
	came, err := c.read(tagHand, mostState)
	if err != nil {
		return err
	}
	state, err := came.handed()
	if err == nil {
		err = k.bindAll(&state)
	}
	state.close()
	if err != nil {
		c.refuse(err)
		return err
	}
	// All has come, so an old process that ends now, or does not hear this, changes nothing.
	_ = c.write(tagDone, nil, nil)
	return nil
}

// bindAll binds all endpoints with their descriptors, or none. Descriptors in use are not closed by
// state.close any more.
func (k *Socket) bindAll(state *handed) error {
	for i, text := range state.texts {
		if err := k.mayTake(text, state.fds[i]); err != nil {
			return err
		}
	}
	before := k.opt.lastEndpoint
	for i, text := range state.texts {
		if err := k.bind(text, state.fds[i]); err != nil {
			k.giveBack(i)
			k.opt.lastEndpoint = before
			return err
		}
		state.fds[i] = -1
	}
	return nil
}

// mayTake looks for what would keep an endpoint from being bound, before any is.
func (k *Socket) mayTake(text string, fd int) error {
	ep, _, err := k.listenEndpoint(text)
	if err != nil {
		return err
	}
	transport, err := k.transport(ep, true)
	if err != nil {
		return err
	}
	return engine.Listens(fd, transport)
}

// giveBack ends the newest listeners and leaves those who wait to the process that they are from.
func (k *Socket) giveBack(n int) {
	k.mu.Lock()
	all := k.listeners
	n = min(n, len(all)) // Close may have come in between
	k.listeners = all[:len(all)-n]
	k.mu.Unlock()
	for _, l := range all[len(all)-n:] {
		l.TakenOver()
		l.Close()
	}
}
