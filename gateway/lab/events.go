// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// event is something that happens to a cluster while clients are at work.
type event struct {
	name     string
	cause    func(*trial) error
	needs    func(*cluster) string // why it cannot be; "": it can
	from, to time.Time
	hit      int // clients without answers for a while
	back     []time.Duration
}

func always(*cluster) string { return "" }

func needsFront(c *cluster) string {
	if len(c.haproxies) == 0 {
		return "there is no HAProxy"
	}
	return ""
}

func needsCable(c *cluster) string {
	if !c.network.namespaces {
		return "there are no network namespaces"
	}
	return ""
}

func events() []*event {
	return []*event{
		{name: "kill -9 of a gateway", cause: func(t *trial) error { return t.crash(t.busiest().process) }, needs: always},
		{name: "kill -9 of a HAProxy", cause: func(t *trial) error { return t.crash(t.haproxies[0].process) }, needs: needsFront},
		{name: "kill -9 of a nats-server", cause: func(t *trial) error { return t.crash(t.cluster.nats[0]) }, needs: always},
		{name: "kill -9 of a back end", cause: (*trial).crashBackend, needs: always},
		{name: "rolling restart of all gateways", cause: (*trial).roll, needs: always},
		{name: "reload of both HAProxy", cause: (*trial).reload, needs: needsFront},
		{name: "a gateway is cut off", cause: func(t *trial) error { return t.cutOff(t.busiest().process) }, needs: needsCable},
		{name: "a nats-server is cut off", cause: func(t *trial) error { return t.cutOff(t.cluster.nats[len(t.cluster.nats)-1]) }, needs: needsCable},
	}
}

// crash kills a program, and starts it again a while later.
func (t *trial) crash(p *process) error {
	p.kill()
	time.Sleep(t.away)
	return p.start()
}

// busiest is the gateway with the most clients.
func (t *trial) busiest() *gateway {
	best, most := t.gateways[0], -1.0
	for _, g := range t.gateways {
		if m, err := scrape(g.metrics); err == nil && m.sum("zlink_gateway_clients") > most {
			best, most = g, m.sum("zlink_gateway_clients")
		}
	}
	return best
}

// crashBackend: what it had in its hands is lost, and nobody but the clients can know that.
func (t *trial) crashBackend() error {
	at := time.Now()
	t.told = append(t.told, span{at.Add(-time.Second), at.Add(time.Second), "a back end was killed"})
	return t.crash(t.backends[0])
}

// roll restarts one gateway after the other.
func (t *trial) roll() error {
	for _, g := range t.gateways {
		if g.end(t.drain + 10*time.Second) {
			return fmt.Errorf("%s did not end %v after its drain\n%s", g.name, 10*time.Second, g.tail())
		}
		if err := g.start(); err != nil {
			return err
		}
		if err := t.healthy(g.process, "http://"+g.metrics+"/readyz"); err != nil {
			return err
		}
	}
	return nil
}

// reload has HAProxy read its configuration again: new processes take over, and old ones end with their
// connections.
func (t *trial) reload() (err error) {
	for _, h := range t.haproxies {
		err = errors.Join(err, h.signal(syscall.SIGUSR2))
		time.Sleep(time.Second)
		if !h.alive() {
			err = errors.Join(err, fmt.Errorf("%s ended: %s", h.name, h.tail()))
		}
	}
	return err
}

// cutOff pulls a program's cable, and plugs it again.
func (t *trial) cutOff(p *process) error {
	if err := p.site.cable(false); err != nil {
		return err
	}
	time.Sleep(t.away)
	return p.site.cable(true)
}

// cutsOf are the times in which a back end says that it had lost its nats-server.
func cutsOf(p *process) (all []span, err error) {
	file, err := os.Open(p.log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		stamp, what, _ := strings.Cut(lines.Text(), " ")
		at, err := time.Parse(eventStamp, stamp)
		if err != nil {
			continue
		}
		switch {
		case what == "cut":
			all = append(all, span{at.Add(-natsBlind), at.Add(natsBlind), p.name + " lost its nats-server"})
		case what == "back" && len(all) > 0:
			all[len(all)-1].to = at.Add(time.Second)
		}
	}
	return all, lines.Err()
}

// assign gives an event the outages that it caused.
func (e *event) assign(outages []outage) {
	for _, o := range outages {
		if o.from.Before(e.from.Add(-patience)) || o.from.After(e.to) {
			continue
		}
		from := o.from
		if from.Before(e.from) {
			from = e.from
		}
		e.hit++
		e.back = append(e.back, o.to.Sub(from))
	}
}
