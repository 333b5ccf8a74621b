// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/sockets"
)

// admitBy makes an option that limits who may connect take effect, at once and for all
// listeners. Other options do nothing here.
func (k *Socket) admitBy(opt sockets.Option) {
	switch opt {
	case sockets.OptMaxConnections, sockets.OptAddressConnections, sockets.OptAddressPrefix4, sockets.OptAddressPrefix6,
		sockets.OptAcceptRate, sockets.OptAddressAcceptRate, sockets.OptHandshakes:
		k.admit()
	}
}

// admit gives the socket's Admission the rules of the present options.
func (k *Socket) admit() {
	o := &k.opt
	k.admission.SetRules(&engine.Rules{
		Connections:        int(o.int(sockets.OptMaxConnections)),
		AddressConnections: int(o.int(sockets.OptAddressConnections)),
		Prefix4:            int(o.int(sockets.OptAddressPrefix4)),
		Prefix6:            int(o.int(sockets.OptAddressPrefix6)),
		Rate:               int(o.int(sockets.OptAcceptRate)),
		AddressRate:        int(o.int(sockets.OptAddressAcceptRate)),
		Handshakes:         int(o.int(sockets.OptHandshakes)),
		Allow:              o.allow,
		Deny:               o.deny,
	})
}

// setAddresses replaces a list of addresses. EINVAL: an entry is wrong; the list stays.
func (k *Socket) setAddresses(opt sockets.Option) error {
	list, err := engine.ParseAddressList(k.opt.strings[opt])
	if err != nil {
		return sockets.BadOption(opt, "does not take the list: %s", err)
	}
	switch opt {
	case sockets.OptAllow:
		k.opt.allow = list
	case sockets.OptDeny:
		k.opt.deny = list
	default: // for later binds
		k.opt.proxyFrom = list
		return nil
	}
	k.admit()
	return nil
}
