// SPDX-License-Identifier: MPL-2.0

package endpoint

//go:generate go run ./print ../..

// Scheme is one kind of transport: a row of the table below. Everything that differs
// between transports follows from their rows.
type Scheme struct {
	Name    string      // in front of "://"
	Address AddressKind // what is behind it
	Layers  []Layer     // between the descriptor and the frames, the lowest one first

	// DefaultPort is the port that a URL of this scheme and the Host field of HTTP leave
	// out; 0: none. An endpoint always contains its port.
	DefaultPort uint16

	// Choice means that each accepted connection has some of the layers or none, as its first bytes tell.
	// Such endpoints can only be bound.
	Choice bool
}

// Layer names a protocol between the bytes of a descriptor and those of the stream.
// core/engine/transports.go implements it.
type Layer string

// The layers.
const (
	LayerTLS Layer = "tls"
	LayerWeb Layer = "websocket"
)

// The transports.
var (
	TCP = &Scheme{Name: "tcp", Address: HostPort}
	IPC = &Scheme{Name: "ipc", Address: File}
	TLS = &Scheme{Name: "tls", Address: HostPort, Layers: []Layer{LayerTLS}}
	WS  = &Scheme{Name: "ws", Address: Resource, Layers: []Layer{LayerWeb}, DefaultPort: 80}
	WSS = &Scheme{Name: "wss", Address: Resource, Layers: []Layer{LayerTLS, LayerWeb}, DefaultPort: 443}
	Any = &Scheme{Name: "any", Address: Resource, Layers: []Layer{LayerTLS, LayerWeb}, Choice: true}
)

// schemes is the table. It does not change once the first endpoint has been parsed.
var schemes = []*Scheme{TCP, IPC, TLS, WS, WSS, Any}

// Schemes returns the transports.
func Schemes() []*Scheme { return schemes }

// Register adds a transport to the table. Call it from an init function, before any
// other goroutine reads the table.
func Register(s *Scheme) { schemes = append(schemes, s) }

// schemeOf returns the transport with a name, or nil.
func schemeOf(name string) *Scheme {
	for _, s := range schemes {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// String returns the scheme's name.
func (s *Scheme) String() string { return s.Name }
