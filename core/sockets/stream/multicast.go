// SPDX-License-Identifier: MPL-2.0

package stream

import "github.com/zlink/zlink/core/errno"

// A CastOption is a detail of a Publish or a Multicast.
type CastOption func(*cast)

// Except leaves out a peer, as the one that the message came from. 0: none.
func Except(peer uint32) CastOption { return func(c *cast) { c.except = peer } }

// WithKey gives the message a key. It takes the place of the message with the same key that
// a peer's queue still has all of, if there is one, so a slow peer gets the newest and not the
// backlog. All others keep their places.
func WithKey(key uint64) CastOption { return func(c *cast) { c.keyed, c.key = true, key } }

// AsText makes the message one of text for peers with FramingMessages; of others it changes
// nothing. The body is not checked.
func AsText() CastOption { return func(c *cast) { c.text = true } }

// WithHeader gives the message a header (FramingHeaders).
func WithHeader(header []byte) CastOption { return func(c *cast) { c.header = header } }

// Undelivered has a function called for each peer that does not take the message, within the
// call, with the error that a Send would have returned. A peer in the mode FAST whose queue was
// full has the event Writable when it has room.
func Undelivered(told func(peer uint32, err error)) CastOption {
	return func(c *cast) { c.told = func(_ int, peer uint32, err error) { told(peer, err) } }
}

// UndeliveredAt is Undelivered with the peer's index in the list of Multicast.
func UndeliveredAt(told func(index int, err error)) CastOption {
	return func(c *cast) { c.told = func(index int, _ uint32, err error) { told(index, err) } }
}

// Multicast queues one message for many peers and returns how many took it. Its bytes lie in
// memory once, however many there are. It never waits: a peer whose queue is full is handled
// as STREAM_FULL_POLICY says, and FullAgain means that it does not take the message. Unknown
// peers, and those that have gone, do not take it either, and the others are served. A peer that
// is named twice gets it twice. For each peer the message has its place between the caller's
// sends before and after. Any number of goroutines, in both modes; in COMPAT a peer with a name
// cannot be named here.
//
// An error means that nobody got it. EAGAIN: the queues of the socket have used up
// STREAM_SEND_BYTES_TOTAL. EMSGSIZE: body is longer than 4 GiB less 4 KiB. ENOMEM, ETERM,
// ENOTSOCK.
func (k *Socket) Multicast(peers []uint32, body []byte, options ...CastOption) (took int, err error) {
	if err := k.enter(); err != nil {
		return 0, err
	}
	defer k.leave()
	return k.cast(peers, body, false, options)
}

// SendKey is TrySend with a key, in both modes: the message takes the place of one with the same
// key, as WithKey says. Of the options, AsText is for it.
func (k *Socket) SendKey(peer uint32, key uint64, body []byte, options ...CastOption) (err error) {
	if peer == 0 {
		return errno.New(errno.EINVAL, "the message has no routing id")
	}
	one := [1]uint32{peer}
	options = append(options, WithKey(key), Except(0), Undelivered(func(_ uint32, e error) { err = e }))
	if _, failed := k.Multicast(one[:], body, options...); failed != nil {
		return failed
	}
	return err
}
