// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/zlink/zlink/core/errno"
)

// An order is a request to zl.ctl.
type order struct {
	Op       string `json:"op"`
	ID       uint32 `json:"id"`
	Group    string `json:"group"`
	Code     int    `json:"code"`
	Reason   string `json:"reason"`
	SpreadMs *int64 `json:"spread_ms"`
}

// orders are the operations, and what an answer has beside the status.
var orders = map[string]func(g *Gateway, o *order) (map[string]any, error){
	"close": (*Gateway).orderClose,
	"abort": (*Gateway).orderAbort,
	"join":  (*Gateway).orderJoin,
	"leave": (*Gateway).orderLeave,
	"drain": (*Gateway).orderDrain,
	"info":  (*Gateway).orderInfo,
}

// control handles zl.ctl.
func (g *Gateway) control(m *nats.Msg) {
	o, more, err := g.obey(m)
	status := 200
	if err != nil {
		status = 400
		if f := (*fault)(nil); errors.As(err, &f) {
			status = f.status
		}
		more = map[string]any{"error": err.Error()}
	}
	if orders[o.Op] == nil {
		o.Op = "unknown" // a label has no text of strangers
	}
	g.counts.control.add(o.Op, strconv.Itoa(status))
	if m.Reply == "" {
		return
	}
	if more == nil {
		more = map[string]any{}
	}
	more["status"] = status
	body, err := json.Marshal(more)
	if err != nil {
		body = nil
	}
	answer := &nats.Msg{Subject: m.Reply, Data: body, Header: nats.Header{headerStatus: {strconv.Itoa(status)}}}
	if g.bus.conn.PublishMsg(answer) != nil {
		g.counts.unanswered.Add(1)
	}
}

func (g *Gateway) obey(m *nats.Msg) (o order, more map[string]any, err error) {
	if err := json.Unmarshal(m.Data, &o); err != nil {
		return o, nil, &fault{400, noOrder(err)}
	}
	do := orders[o.Op]
	switch {
	case o.Op == "":
		return o, nil, &fault{400, "the request has no op"}
	case do == nil:
		return o, nil, &fault{501, fmt.Sprintf("there is no op %.64q", o.Op)}
	case strings.HasSuffix(m.Subject, ".all") && o.Op != "info" && o.Op != "drain":
		return o, nil, &fault{400, "only info and drain are for all gateways"}
	}
	more, err = do(g, &o)
	return o, more, err
}

// noOrder says why a request cannot be read, in the words of the protocol.
func noOrder(err error) string {
	var field *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &field):
		return fmt.Sprintf("the request is no JSON: %v", err)
	case field.Field == "":
		return "the request is no JSON object, and has the type " + field.Value
	case field.Type.Kind() == reflect.String:
		return fmt.Sprintf("%s of the request is a text, not a %.40s", field.Field, field.Value)
	}
	return fmt.Sprintf("%s of the request is a whole number of %d bits, not a %.40s", field.Field, field.Type.Bits(), field.Value)
}

// whom returns the client of an order.
func (g *Gateway) whom(o *order) (*client, error) {
	if o.ID == 0 {
		return nil, &fault{400, "the request has no id of a client"}
	}
	c := g.clients.find(o.ID)
	if c == nil {
		return nil, unknownClient(o.ID)
	}
	return c, nil
}

func (g *Gateway) orderClose(o *order) (map[string]any, error) {
	c, err := g.whom(o)
	if err != nil {
		return nil, err
	}
	code := o.Code
	if code == 0 {
		code = 1000
	}
	return nil, ended(o, g.socket.ClosePeerWith(c.id, code, o.Reason))
}

func (g *Gateway) orderAbort(o *order) (map[string]any, error) {
	c, err := g.whom(o)
	if err != nil {
		return nil, err
	}
	return nil, ended(o, g.socket.AbortPeer(c.id))
}

func ended(o *order, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errno.EHOSTUNREACH):
		return unknownClient(o.ID)
	case errors.Is(err, errno.EINVAL):
		return &fault{400, errno.Detail(err)}
	}
	return &fault{503, errno.Detail(err)}
}

func (g *Gateway) orderJoin(o *order) (map[string]any, error) {
	c, err := g.whom(o)
	switch {
	case err != nil:
		return nil, err
	case g.drain.Load():
		return nil, &fault{503, "the gateway drains"}
	case !c.known():
		return nil, &fault{409, fmt.Sprintf("client %d is not authenticated yet", c.id)}
	}
	return nil, g.groups.join(g, c, o.Group, true)
}

func (g *Gateway) orderLeave(o *order) (map[string]any, error) {
	c, err := g.whom(o)
	if err != nil {
		return nil, err
	}
	return nil, g.groups.leave(g, c, o.Group)
}

func (g *Gateway) orderDrain(o *order) (map[string]any, error) {
	spread := g.config.Drain
	if o.SpreadMs != nil {
		if *o.SpreadMs < 0 || *o.SpreadMs > int64(24*time.Hour/time.Millisecond) {
			return nil, &fault{400, "spread_ms is 0 to 86400000"}
		}
		spread = time.Duration(*o.SpreadMs) * time.Millisecond
	}
	if err := g.Drain(spread, o.Code); err != nil {
		return nil, ended(o, err)
	}
	g.log("drains, as zl.ctl asked for")
	return nil, nil
}

func (g *Gateway) orderInfo(o *order) (map[string]any, error) {
	if o.ID == 0 {
		return map[string]any{"version": 1, "server": g.server, "name": g.config.Name, "service": g.config.Service, "clients": g.clients.count(),
			"groups": g.groups.count(), "draining": g.drain.Load(), "started": g.started.UTC().Format(time.RFC3339Nano),
			"listen": g.listened, "max_message": g.config.MaxMessage}, nil
	}
	c, err := g.whom(o)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	properties := map[string]string{}
	for name, values := range c.properties {
		properties[name] = values[0]
	}
	return map[string]any{"id": c.id, "user": c.user, "service": c.service, "groups": append([]string{}, g.groups.of(c)...),
		"since": c.since.UTC().Format(time.RFC3339Nano), "properties": properties}, nil
}
