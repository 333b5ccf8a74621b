// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// trial is a cluster with clients, and what happens to it.
type trial struct {
	*cluster
	crowd  *crowd
	watch  *watch
	ledger *ledger
	told   []span // cuts that somebody counted
	begin  time.Time
	line   []float64 // clients with answers, every sampling
	report *report
	say    func(format string, values ...any)

	publisher *nats.Conn
	castMu    sync.Mutex
	casts     uint64
	stop      chan struct{}
	done      sync.WaitGroup
}

const sampling = 250 * time.Millisecond

// crowdPlan is how many clients a trial has, and what they do.
type crowdPlan struct {
	clients   int
	interval  time.Duration
	size      int
	perSecond int // how fast they come at first
}

func newTrial(c *cluster, p crowdPlan, r *report, say func(string, ...any)) (*trial, error) {
	publisher, err := connectNATS(c.natsServers(), "publisher", func(string) {})
	if err != nil {
		return nil, err
	}
	t := &trial{cluster: c, ledger: newLedger(), report: r, say: say, publisher: publisher, stop: make(chan struct{})}
	t.watch = newWatch(c.gateways)
	t.crowd = &crowd{ledger: t.ledger, targets: c.fronts(), path: "/", interval: p.interval, size: p.size}
	t.begin = time.Now()
	t.crowd.start(p.clients, p.perSecond)
	t.done.Go(t.sample)
	if err := t.allBack(30 * time.Second); err != nil {
		return t, fmt.Errorf("at the start: %w", err)
	}
	say("%d clients have answers after %.1f s", p.clients, time.Since(t.begin).Seconds())
	return t, nil
}

func (t *trial) sample() {
	ticker := time.NewTicker(sampling)
	defer ticker.Stop()
	for {
		t.line = append(t.line, float64(t.crowd.back()))
		select {
		case <-t.stop:
			return
		case <-ticker.C:
		}
	}
}

// publishing sends a numbered message to the group of all every now and then.
func (t *trial) publishing(pause time.Duration) {
	t.done.Go(func() {
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for {
			select {
			case <-t.stop:
				return
			case <-ticker.C:
				_ = t.cast() // a number that was not sent is a gap, in the time of a cut
			}
		}
	})
}

// cast publishes the next number.
func (t *trial) cast() error {
	t.castMu.Lock()
	defer t.castMu.Unlock()
	body := make([]byte, headSize)
	body[0] = kindCast
	binary.BigEndian.PutUint64(body[1:], t.casts+1)
	if err := t.publisher.Publish("zl.group."+labGroup, body); err != nil {
		return err
	}
	t.casts++
	return nil
}

// allBack waits until every client has answers.
func (t *trial) allBack(most time.Duration) error {
	want := len(t.crowd.all)
	if until(most, func() bool { time.Sleep(20 * time.Millisecond); return t.crowd.back() == want }) != nil {
		text := fmt.Sprintf("only %d of %d clients have answers after %v", t.crowd.back(), want, most)
		for _, dead := range t.dead() {
			text += "\n" + dead
		}
		return fmt.Errorf("%s", text)
	}
	return nil
}

// happen makes an event, and waits until all clients are back.
func (t *trial) happen(e *event, rest time.Duration) error {
	if why := e.needs(t.cluster); why != "" {
		t.say("not tried: %s: %s", e.name, why)
		return nil
	}
	e.from = time.Now()
	if err := e.cause(t); err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	time.Sleep(patience + 300*time.Millisecond) // until who misses an answer knows it
	if err := t.allBack(20 * time.Second); err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	e.to = time.Now()
	time.Sleep(rest)
	t.ledger.add(func(l *ledger) { e.assign(l.outages) })
	slices.Sort(e.back)
	t.say("%s: %d clients missed answers, and had them again after %.2f s (p50), %.2f s (p99)", e.name, e.hit,
		quantile(e.back, 0.5).Seconds(), quantile(e.back, 0.99).Seconds())
	return nil
}

// group has everybody in the group get messages as fast as they take them.
func (t *trial) group(length time.Duration) error {
	const window = 5
	arrived := func() (n uint64) { t.ledger.add(func(l *ledger) { n = l.casts }); return n }
	if err := t.memberOfAll(10 * time.Second); err != nil {
		return err
	}
	before, crossed := arrived(), t.crossings()
	start, sent := time.Now(), uint64(0)
	for time.Since(start) < length {
		for range window {
			if err := t.cast(); err != nil {
				return err
			}
			sent++
		}
		if err := until(10*time.Second, func() bool { return arrived() >= before+sent*uint64(len(t.crowd.all)) }); err != nil {
			return fmt.Errorf("of %d messages to the group %d of %d deliveries came", sent, arrived()-before, sent*uint64(len(t.crowd.all)))
		}
	}
	took := time.Since(start).Seconds()
	time.Sleep(2 * watching)
	t.report.row("group", "clients in one group", float64(len(t.crowd.all)), "", fmt.Sprintf("at %d gateways", len(t.gateways)))
	t.report.row("group", "deliveries", float64(sent)*float64(len(t.crowd.all))/took, "/s", "through HAProxy")
	t.report.row("group", "messages that came to gateways, for each that was published", (t.crossings()-crossed)/float64(sent), "", "one for each gateway")
	return nil
}

func (t *trial) crossings() float64 { return t.watch.total("zlink_gateway_group_messages_total") }

// memberOfAll waits until a message reaches everybody: back ends have them join a moment after they came.
func (t *trial) memberOfAll(most time.Duration) error {
	for end := time.Now().Add(most); time.Now().Before(end); {
		if err := t.cast(); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
		t.castMu.Lock()
		number := t.casts
		t.castMu.Unlock()
		if t.crowd.count(func(one *client) bool { return one.cast != number }) == 0 {
			return nil
		}
	}
	return fmt.Errorf("a message to the group does not reach all clients after %v", most)
}

// end stops all, and judges.
func (t *trial) end(all []*event) {
	t.crowd.settle(3 * time.Second)
	close(t.stop)
	t.done.Wait()
	t.publisher.Close()
	t.crowd.stop()
	time.Sleep(2 * watching)
	t.watch.end()
	for _, p := range t.backends {
		cuts, err := cutsOf(p)
		if err != nil {
			t.report.Faults = append(t.report.Faults, err.Error())
		}
		t.told = append(t.told, cuts...)
	}
	t.told = append(t.told, t.watch.cuts...)
	dropped := 0.0
	for _, name := range metricsLost {
		dropped += t.watch.total(name)
	}
	t.tell(t.ledger.judge(t.told, uint64(dropped)), dropped)
	t.tellEvents(all)
}

// tell writes down the ledger.
func (t *trial) tell(v verdict, dropped float64) {
	r := t.report
	line := func(name string, value uint64, note string) { r.row("ledger", name, float64(value), "messages", note) }
	line("sent by clients", v.sent, "each has a number")
	line("answered once", v.answered, fmt.Sprintf("of these on a connection that came later: %d", t.ledger.late))
	line("answered twice", v.doubled, "must be 0")
	line("refused", v.refused, "")
	line("lost with their connection", v.cut, "the client saw it end before the answer came")
	line("lost with a connection to NATS, or a back end", v.gapsCut, "the client sees a gap; counted by who lost the connection")
	line("lost, and counted by a gateway", v.gapsCounted, fmt.Sprintf("the gateways' counts of everything dropped or in doubt: %.0f", dropped))
	line("lost, and nobody tells", v.gapsUntold, "must be 0")
	line("of the group: came", v.casts, "")
	line("of the group: twice, or out of order", v.castDoubled, "must be 0")
	line("of the group: gaps during a counted cut", v.castGapsTold, "")
	line("of the group: lost, and nobody tells", v.castGapsUntold, "must be 0")
	for text, n := range t.ledger.refusals {
		r.Faults = append(r.Faults, fmt.Sprintf("%d messages that are no answers, such as %q", n, text))
	}
	r.Faults = append(r.Faults, v.faults()...)
	slices.Sort(t.ledger.round)
	r.row("calm", "answer through HAProxy, gateway, NATS and a back end, p50", ms(quantile(t.ledger.round, 0.5)), "ms", "")
	r.row("calm", "the same, p99", ms(quantile(t.ledger.round, 0.99)), "ms", "")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

const backGoal = 3 * time.Second

func (t *trial) tellEvents(all []*event) {
	r := t.report
	var bars []bar
	var marks []mark
	for _, e := range all {
		if e.to.IsZero() {
			continue
		}
		p50, p99 := quantile(e.back, 0.5), quantile(e.back, 0.99)
		r.row("events", e.name+": clients that missed answers", float64(e.hit), "", "")
		r.row("events", e.name+": back, p50", p50.Seconds(), "s", "")
		r.row("events", e.name+": back, p99", p99.Seconds(), "s", "goal: 3 s")
		bars = append(bars, bar{e.name, p99.Seconds(), ours})
		marks = append(marks, mark{e.from.Sub(t.begin).Seconds(), e.name})
		if p99 > backGoal {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %.2f s until 99 %% of the clients are back; the goal is 3 s", e.name, p99.Seconds()))
		}
	}
	if len(bars) == 0 {
		return
	}
	r.chart("Clients with answers", "Every client that has a connection and misses no answer, four times a second.",
		drawTime(t.line, sampling.Seconds(), float64(len(t.crowd.all)), marks))
	r.chart("Until clients are back, p99", "From the event, or the end of a client's connection if that came later, to the first answer.",
		drawBars("s", bars))
}
