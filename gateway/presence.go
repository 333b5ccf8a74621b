// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A presence keeps zl_presence, and the heartbeats in zl_servers. Its work is done by goroutines of its own, so
// that nobody waits for JetStream, but for a queue that is full.
type presence struct {
	g       *Gateway
	js      jetstream.JetStream
	ctx     context.Context
	cancel  context.CancelFunc
	work    [presenceWorkers]chan errand
	seed    maphash.Seed
	over    sync.WaitGroup
	out     atomic.Int64 // errands that are not done
	forgets atomic.Bool  // NATS keeps the mark of a deleted key for a time only
	broken  atomic.Bool  // an errand has failed: others are left to mend, so that their queues do not fill

	mu      sync.Mutex
	users   jetstream.KeyValue // nil: not yet
	servers jetstream.KeyValue
	mine    map[string]entry // by key: what this gateway has written
	left    map[string]entry // what it could not delete

	seen map[string]time.Time // heartbeats, by server; for watch only
}

// An entry is a key of zl_presence that this gateway has written.
type entry struct {
	id       uint32
	since    time.Time
	revision uint64
}

// A place is the value of a key.
type place struct {
	Server string    `json:"server"`
	ID     uint32    `json:"id"`
	Since  time.Time `json:"since"`
}

// An errand is a key to write or to delete.
type errand struct {
	key    string
	id     uint32
	since  time.Time
	remove bool
	absent bool   // write only if nobody else has
	left   uint64 // delete this revision, which could not be deleted before; 0: that is not what it is about
}

const (
	presenceWorkers = 8
	presenceQueue   = 4096
	presencePatient = 5 * time.Second // with one request
	markerTime      = time.Minute
	usersBucket     = "zl_presence"
	serversBucket   = "zl_servers"
)

func newPresence(g *Gateway) *presence {
	p := &presence{g: g, mine: map[string]entry{}, left: map[string]entry{}, seen: map[string]time.Time{}, seed: maphash.MakeSeed()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.js, _ = jetstream.New(g.bus.conn) // fails for wrong options only
	for i := range p.work {
		p.work[i] = make(chan errand, presenceQueue)
		p.over.Go(func() { p.labour(p.work[i]) })
	}
	p.over.Go(p.live)
	return p
}

// presenceKey is the key of a user or a token.
func presenceKey(user string) string {
	good := user != "" && user[0] != '.' && user[len(user)-1] != '.' && !strings.Contains(user, "..")
	for i := range len(user) {
		c := user[i]
		good = good && (c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.')
	}
	if good {
		return user
	}
	return "=" + base64.RawURLEncoding.EncodeToString([]byte(user))
}

func (p *presence) put(c *client) {
	if p != nil {
		p.send(errand{key: presenceKey(c.key), id: c.id, since: c.since})
	}
}

func (p *presence) remove(c *client) {
	if p != nil {
		p.send(errand{key: presenceKey(c.key), id: c.id, remove: true})
	}
}

// send gives an errand to the worker of its key, so that those of one key stay in order.
func (p *presence) send(e errand) {
	p.out.Add(1)
	select {
	case p.queueOf(e.key) <- e:
	case <-p.ctx.Done():
		p.out.Add(-1)
	}
}

func (p *presence) queueOf(key string) chan errand {
	return p.work[maphash.String(p.seed, key)%presenceWorkers]
}

func (p *presence) labour(work chan errand) {
	for {
		select {
		case <-p.ctx.Done():
			return
		case e := <-work:
			if err := p.do(e); err != nil && p.ctx.Err() == nil {
				p.g.counts.presenceErrors.Add(1)
			}
			p.out.Add(-1)
		}
	}
}

var (
	errNoBucket = errors.New("there is no bucket yet")
	errBroken   = errors.New("JetStream fails")
)

// do carries an errand out. An entry stays in mine, or in left, when that fails, so that mend does it.
func (p *presence) do(e errand) error {
	if e.left != 0 {
		return p.delete(e.key, e.left)
	}
	ctx, cancel := context.WithTimeout(p.ctx, presencePatient)
	defer cancel()
	p.mu.Lock()
	users, old := p.users, p.mine[e.key]
	switch {
	case e.remove && old.id == e.id:
		delete(p.mine, e.key)
	case !e.remove && !e.absent:
		p.mine[e.key] = entry{id: e.id, since: e.since}
	}
	p.mu.Unlock()
	switch {
	case e.remove && (old.id != e.id || old.revision == 0):
		return nil // it was never written, or another client of this user has come
	case e.remove:
		return p.delete(e.key, old.revision)
	case users == nil:
		return errNoBucket
	case p.broken.Load():
		return errBroken
	}
	value, err := json.Marshal(place{p.g.server, e.id, e.since.UTC()})
	if err != nil {
		return err
	}
	var revision uint64
	if e.absent {
		revision, err = p.claim(ctx, users, e, value)
	} else {
		revision, err = users.Put(ctx, e.key, value)
	}
	if err != nil {
		p.broken.Store(true)
		return err
	}
	p.mu.Lock()
	if now, has := p.mine[e.key]; has && now.id == e.id && revision != 0 {
		now.revision = revision
		p.mine[e.key] = now
	}
	p.mu.Unlock()
	return nil
}

// claim writes a key unless a client that came later has it. A write that seems to have failed may have been one, so the key may be
// this client's already. Revision 0: it is another one's.
func (p *presence) claim(ctx context.Context, users jetstream.KeyValue, e errand, value []byte) (revision uint64, err error) {
	revision, err = users.Create(ctx, e.key, value)
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return revision, err
	}
	there, err := users.Get(ctx, e.key)
	if err != nil {
		return 0, err
	}
	var at place
	good := json.Unmarshal(there.Value(), &at) == nil
	switch {
	case good && at.Server == p.g.server && at.ID == e.id:
		return there.Revision(), nil
	case good && at.Since.After(e.since):
		return 0, nil
	}
	return users.Update(ctx, e.key, value, there.Revision())
}

// delete deletes what this gateway has written of a client that has gone.
func (p *presence) delete(key string, revision uint64) (err error) {
	ctx, cancel := context.WithTimeout(p.ctx, presencePatient)
	defer cancel()
	p.mu.Lock()
	users := p.users
	p.mu.Unlock()
	switch {
	case users == nil:
		err = errNoBucket
	case p.broken.Load():
		err = errBroken
	default:
		if err = p.purge(ctx, users, key, revision); err != nil {
			p.broken.Store(true)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		if p.left[key].revision == revision {
			delete(p.left, key)
		}
	} else if p.left[key].revision < revision {
		p.left[key] = entry{revision: revision}
	}
	return err
}

// purge deletes a key, unless somebody else has written it since. NATS forgets that there was one after a minute, where it can.
func (p *presence) purge(ctx context.Context, users jetstream.KeyValue, key string, revision uint64) error {
	options := []jetstream.KVDeleteOpt{jetstream.LastRevision(revision)}
	if p.forgets.Load() {
		options = append(options, jetstream.PurgeTTL(markerTime))
	}
	return notOurs(users.Purge(ctx, key, options...))
}

// notOurs takes it for done that somebody else has written the key since.
func notOurs(err error) error {
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return nil
	}
	return err
}

// buckets makes those that are not there.
func (p *presence) buckets() error {
	ctx, cancel := context.WithTimeout(p.ctx, presencePatient)
	defer cancel()
	users := jetstream.KeyValueConfig{Bucket: usersBucket, Description: "where users of zlink gateways are", Storage: jetstream.MemoryStorage,
		Replicas: p.g.config.Replicas, LimitMarkerTTL: markerTime}
	servers := jetstream.KeyValueConfig{Bucket: serversBucket, Description: "heartbeats of zlink gateways", Storage: jetstream.MemoryStorage,
		Replicas: p.g.config.Replicas, TTL: p.g.config.DeadAfter}
	one, err := p.bucket(ctx, users)
	if errors.Is(err, jetstream.ErrLimitMarkerTTLNotSupported) { // a server before 2.11
		users.LimitMarkerTTL = 0
		one, err = p.bucket(ctx, users)
	}
	if err != nil {
		return err
	}
	status, err := one.Status(ctx)
	if err != nil {
		return err
	}
	p.forgets.Store(status.LimitMarkerTTL() > 0)
	two, err := p.bucket(ctx, servers)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.users, p.servers = one, two
	p.mu.Unlock()
	return nil
}

func (p *presence) bucket(ctx context.Context, config jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	have, err := p.js.KeyValue(ctx, config.Bucket)
	if err == nil {
		return have, nil
	}
	made, err := p.js.CreateKeyValue(ctx, config)
	if errors.Is(err, jetstream.ErrBucketExists) { // another gateway was quicker
		return p.js.KeyValue(ctx, config.Bucket)
	}
	return made, err
}

// live keeps the buckets, the heartbeat, and an eye on other gateways.
func (p *presence) live() {
	said := ""
	for p.ctx.Err() == nil {
		err := p.buckets()
		if err == nil {
			said = ""
			p.broken.Store(false)
			p.mend(true)
			err = p.watch()
		}
		if err != nil && p.ctx.Err() == nil {
			p.g.counts.presenceErrors.Add(1)
			if said != err.Error() {
				said = err.Error()
				p.g.log("presence does not work: %v", err)
			}
		}
		p.pause(p.g.config.HeartbeatEvery)
	}
}

func (p *presence) pause(d time.Duration) {
	select {
	case <-p.ctx.Done():
	case <-time.After(d):
	}
}

// mend writes what is missing of this gateway's entries, and deletes what is left of others. Unless all may be missing, it waits for no
// queue, and does the rest with a later beat.
func (p *presence) mend(all bool) {
	p.mu.Lock()
	errands := make([]errand, 0, len(p.left))
	for key, e := range p.left {
		errands = append(errands, errand{key: key, left: e.revision})
	}
	for key, e := range p.mine {
		if all || e.revision == 0 {
			errands = append(errands, errand{key: key, id: e.id, since: e.since, absent: true})
		}
	}
	p.mu.Unlock()
	for _, e := range errands {
		if !all && len(p.queueOf(e.key)) == presenceQueue {
			p.broken.Store(true)
			return
		}
		p.send(e)
	}
}

// watch beats, and clears up after gateways that do not, until something fails or NATS was away.
func (p *presence) watch() error {
	watcher, err := p.servers.WatchAll(p.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = watcher.Stop() }()
	beat := time.NewTicker(p.g.config.HeartbeatEvery)
	defer beat.Stop()
	clear(p.seen)
	began, swept := time.Now(), false
	if err := p.beat(); err != nil {
		return err
	}
	for {
		select {
		case <-p.ctx.Done():
			return nil
		case <-p.g.bus.again: // NATS was away, and others may have taken this gateway for dead
			return nil
		case update, open := <-watcher.Updates():
			if !open {
				return errors.New("the watcher of heartbeats has ended")
			}
			if update != nil {
				p.heard(update)
			}
		case <-beat.C:
			if err := p.beat(); err != nil {
				return err
			}
			if p.broken.Swap(false) {
				p.mend(false)
			}
			if dead := p.dead(); len(dead) > 0 || !swept && time.Since(began) > p.g.config.DeadAfter {
				if err := p.sweep(); err != nil {
					return err
				}
				swept = true
				for _, server := range dead {
					delete(p.seen, server)
				}
			}
		}
	}
}

func (p *presence) heard(update jetstream.KeyValueEntry) {
	if update.Operation() == jetstream.KeyValuePut {
		p.seen[update.Key()] = time.Now()
		return
	}
	if _, has := p.seen[update.Key()]; has { // it has said goodbye
		p.seen[update.Key()] = time.Time{}
	}
}

func (p *presence) beat() error {
	ctx, cancel := context.WithTimeout(p.ctx, presencePatient)
	defer cancel()
	_, err := p.servers.Put(ctx, p.g.server, []byte("{}"))
	return err
}

// dead returns gateways that have been silent for too long. While this one does not hear itself, it judges nobody, and of several
// gateways only the first by name sweeps.
func (p *presence) dead() (dead []string) {
	if !p.lives(p.g.server) {
		return nil
	}
	for server := range p.seen {
		switch {
		case !p.lives(server):
			dead = append(dead, server)
		case server < p.g.server:
			return nil
		}
	}
	return dead
}

func (p *presence) lives(server string) bool {
	return time.Since(p.seen[server]) < p.g.config.DeadAfter
}

// sweep deletes the entries of gateways that do not live.
func (p *presence) sweep() error {
	if !p.lives(p.g.server) {
		return nil
	}
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	all, err := p.users.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer func() { _ = all.Stop() }()
	for {
		var e jetstream.KeyValueEntry
		var open bool
		select {
		case e, open = <-all.Updates():
		case <-time.After(presencePatient):
		case <-p.ctx.Done():
		}
		if !open {
			return errors.New("the list of users has no end")
		}
		if e == nil {
			return nil
		}
		var at place
		if json.Unmarshal(e.Value(), &at) == nil && p.lives(at.Server) {
			continue
		}
		request, done := context.WithTimeout(p.ctx, presencePatient)
		err := p.purge(request, p.users, e.Key(), e.Revision())
		done()
		if err != nil {
			return err
		}
		p.g.counts.presenceCleared.Add(1)
	}
}

// entries returns how many keys this gateway has.
func (p *presence) entries() int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mine)
}

// close ends it. Entries of clients that are still there are deleted, as far as that takes no time. p may be nil.
func (p *presence) close() {
	if p == nil {
		return
	}
	for late := time.Now().Add(lastWords); p.out.Load() > 0 && time.Now().Before(late); {
		time.Sleep(time.Millisecond)
	}
	p.cancel()
	p.over.Wait()
	p.mu.Lock()
	mine, users, servers := p.mine, p.users, p.servers
	p.mine = nil
	p.mu.Unlock()
	if users == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	for _, key := range slices.Sorted(maps.Keys(mine)) {
		if e := mine[key]; e.revision != 0 && p.purge(ctx, users, key, e.revision) != nil && ctx.Err() != nil {
			return // the others find out that this one is dead
		}
	}
	_ = servers.Purge(ctx, p.g.server)
}
