package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	devicetls "github.com/understudy-net/understudy/device/tls"
	"github.com/understudy-net/understudy/driver/hostnet"
	"github.com/understudy-net/understudy/understudytest"
)

// A client of MQTT, Eclipse Paho's, on the driver of a device, and a broker, Mochi, on another host of the network. Both are
// unchanged programs. They run on the wall clock: the broker holds a mutex while it writes, for which no bubble of synctest waits.
//
// Each of the two stops reading while it cannot write. So what is on its way in both directions must fit into the buffers of the
// connection, or they wait for each other, which here is not what is tested.

// broker is Mochi, and what it has seen.
type broker struct {
	mochi.HookBase
	*mochi.Server

	mu       sync.Mutex
	sessions int // that began
	ended    int
	pings    int
	got      map[string][][]byte // by topic
}

func (*broker) ID() string { return "seen" }

func (*broker) Provides(b byte) bool {
	return b == mochi.OnSessionEstablished || b == mochi.OnDisconnect || b == mochi.OnPacketRead
}

func (b *broker) OnSessionEstablished(*mochi.Client, packets.Packet) { b.count(&b.sessions) }

func (b *broker) OnDisconnect(*mochi.Client, error, bool) { b.count(&b.ended) }

func (b *broker) OnPacketRead(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if p.FixedHeader.Type == packets.Pingreq {
		b.count(&b.pings)
	}
	return p, nil
}

func (b *broker) count(n *int) {
	b.mu.Lock()
	*n++
	b.mu.Unlock()
}

func (b *broker) look() (sessions, ended, pings int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions, b.ended, b.pings
}

// underWay is the number of messages that client and broker have not done with.
//
// This broker keeps both directions in one table by the packet's number, although each side numbers its own. Where
// numbers meet, an UNSUBSCRIBE does nothing, and of what is sent again after a loss some is missing.
func (b *broker) underWay() int {
	c, ok := b.Clients.Get("thing")
	if !ok {
		return 0
	}
	return c.State.Inflight.Len()
}

// received are the messages of a topic, in order.
func (b *broker) received(topic string) [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got[topic])
}

func newBroker(t *testing.T, ln net.Listener) *broker {
	t.Helper()
	b := &broker{
		Server: mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}),
		got:    map[string][][]byte{},
	}
	if err := b.AddHook(new(auth.AllowHook), nil); err != nil {
		t.Fatal(err)
	}
	if err := b.AddHook(b, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.AddListener(listeners.NewNet("bench", ln)); err != nil {
		t.Fatal(err)
	}
	err := b.Subscribe("up/#", 1, func(_ *mochi.Client, _ packets.Subscription, p packets.Packet) {
		b.mu.Lock()
		b.got[p.TopicName] = append(b.got[p.TopicName], bytes.Clone(p.Payload))
		b.mu.Unlock()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Server.Close() })
	return b
}

// thing is a device in the field: its application joins the network when it has to, and speaks MQTT.
type thing struct {
	paho.Client
	*understudytest.Bench

	mu  sync.Mutex
	got map[string][][]byte
}

func (h *thing) received(topic string) [][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got[topic])
}

func (h *thing) message(_ paho.Client, m paho.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got[m.Topic()] = append(h.got[m.Topic()], bytes.Clone(m.Payload()))
}

// newThing makes an application that dials with dial.
func newThing(t *testing.T, b *understudytest.Bench, dial dialFunc) *thing {
	h := &thing{Bench: b, got: map[string][][]byte{}}
	o := paho.NewClientOptions()
	o.AddBroker("tcp://peer.test:1883").SetClientID("thing").SetCleanSession(false)
	o.SetKeepAlive(mqttKeepAlive).SetPingTimeout(10 * time.Second).SetMaxReconnectInterval(time.Second)
	o.SetDefaultPublishHandler(h.message)
	o.SetWill("up/will", "gone", 1, false)
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ paho.ClientOptions) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if !b.Client.LinkUp() {
			if err := b.Net.Join(ctx, b.BSS(), b.Auth()); err != nil {
				return nil, err
			}
		}
		return dial(ctx, "tcp", u.Host)
	})
	h.Client = paho.NewClient(o)
	t.Cleanup(func() { h.Disconnect(250) })
	return h
}

// mqttKeepAlive is when the client asks whether the broker is there, if nothing else was said; after 1.5 times that the broker ends
// the connection.
const mqttKeepAlive = 2 * time.Second

// done waits for what a token stands for.
func done(t *testing.T, what string, k paho.Token) {
	t.Helper()
	if !k.WaitTimeout(2 * time.Minute) {
		t.Fatalf("%s does not end", what)
	}
	if k.Error() != nil {
		t.Fatalf("%s: %v", what, k.Error())
	}
}

// mqttWays are the ways of a connection to the broker.
var mqttWays = []struct {
	name  string
	serve func(ln net.Listener, cert tls.Certificate) net.Listener
	dial  func(n *hostnet.Net, roots *x509.CertPool) dialFunc
}{
	{"plain", func(ln net.Listener, _ tls.Certificate) net.Listener { return ln },
		func(n *hostnet.Net, _ *x509.CertPool) dialFunc { return n.DialContext }},
	{"TLS on the host", func(ln net.Listener, cert tls.Certificate) net.Listener {
		return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
	}, func(n *hostnet.Net, roots *x509.CertPool) dialFunc {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := n.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			s := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "peer.test"})
			if err := s.HandshakeContext(ctx); err != nil {
				c.Close()
				return nil, err
			}
			return s, nil
		}
	}},
	{"TLS on the device", func(ln net.Listener, cert tls.Certificate) net.Listener {
		return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, CipherSuites: devicetls.DefaultSuites.IDs()})
	}, func(n *hostnet.Net, _ *x509.CertPool) dialFunc {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			return n.DialTLS(ctx, network, addr, hostnet.TLSOptions{})
		}
	}},
}

// withMQTT runs f for each way, with a client that is connected and has subscribed to down/#.
func withMQTT(t *testing.T, f func(t *testing.T, h *thing, b *broker)) {
	for _, way := range mqttWays {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			bench, peer, cert, _ := secureBench(t)
			roots := x509.NewCertPool()
			roots.AddCert(cert.Leaf)
			ln, err := peer.Listen("tcp", ":1883")
			if err != nil {
				t.Fatal(err)
			}
			b := newBroker(t, way.serve(ln, cert))
			h := newThing(t, bench, way.dial(bench.Net, roots))
			done(t, "connect", h.Connect())
			done(t, "subscribe", h.Client.Subscribe("down/#", 2, nil))
			f(t, h, b)
		})
	}
}

// payload is the i-th message of a topic: of any length up to 6 kB.
func payload(i int) []byte {
	return append(fmt.Appendf(nil, "%d:", i), randomBytes(i*i*i%6_000, uint64(i))...)
}

// same wants the messages that payload makes, from begin to end, each once and in order.
func same(t *testing.T, what string, got [][]byte, begin, end int) {
	t.Helper()
	for i := range max(len(got), end-begin) {
		switch {
		case i >= len(got):
			t.Errorf("%s: message %d of %d does not come", what, i, end-begin)
			return
		case i >= end-begin || !bytes.Equal(got[i], payload(begin+i)):
			t.Errorf("%s: message %d of %d is another: %d bytes, %.20q", what, i, end-begin, len(got[i]), got[i])
			return
		}
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: this does not come", what)
		}
	}
}

func TestMQTTQualitiesOfService(t *testing.T) {
	withMQTT(t, func(t *testing.T, h *thing, b *broker) {
		const n = 40
		for i := range n {
			var tokens []paho.Token
			for qos := range byte(3) {
				tokens = append(tokens, h.Client.Publish(fmt.Sprintf("up/%d", qos), qos, false, payload(i)))
				if err := b.Publish(fmt.Sprintf("down/%d", qos), payload(i), false, qos); err != nil {
					t.Fatal(err)
				}
			}
			for _, k := range tokens {
				done(t, "publish", k)
			}
			for qos := range 3 {
				eventually(t, "message", func() bool {
					return len(b.received(fmt.Sprintf("up/%d", qos))) > i && len(h.received(fmt.Sprintf("down/%d", qos))) > i
				})
			}
		}
		for qos := range 3 {
			same(t, fmt.Sprintf("up, quality %d", qos), b.received(fmt.Sprintf("up/%d", qos)), 0, n)
			same(t, fmt.Sprintf("down, quality %d", qos), h.received(fmt.Sprintf("down/%d", qos)), 0, n)
		}
		eventually(t, "the end of all that is under way", func() bool { return b.underWay() == 0 })
		done(t, "unsubscribe", h.Unsubscribe("down/#"))
		if err := b.Publish("down/2", []byte("not wanted"), false, 2); err != nil {
			t.Fatal(err)
		}
		done(t, "publish", h.Client.Publish("up/0", 1, false, payload(n))) // there and back: what came before it has come
		same(t, "after the subscription", h.received("down/2"), 0, n)
	})
}

// A connection on which nobody has anything to say stays: the client asks, and so the broker does not end it.
func TestMQTTKeepAlive(t *testing.T) {
	withMQTT(t, func(t *testing.T, h *thing, b *broker) {
		time.Sleep(3 * mqttKeepAlive)
		sessions, ended, pings := b.look()
		if sessions != 1 || ended != 0 || pings == 0 || !h.IsConnectionOpen() {
			t.Errorf("%d sessions, %d ended, %d pings, open %v", sessions, ended, pings, h.IsConnectionOpen())
		}
		done(t, "publish", h.Client.Publish("up/1", 1, false, payload(1)))
		eventually(t, "the message", func() bool { return len(b.received("up/1")) == 1 })
	})
}

// The network goes without a word, in the midst of messages, and comes back. Client and broker find each other again without
// being told to, and what has a quality of service is not lost. The broker has published the will meanwhile.
//
// Once messages go up meanwhile, once down: see underWay.
func TestMQTTAfterLossOfTheNetwork(t *testing.T) {
	withMQTT(t, func(t *testing.T, h *thing, b *broker) {
		var tokens []paho.Token
		up := func(topic string, qos byte, message []byte) {
			tokens = append(tokens, h.Client.Publish("up/"+topic, qos, false, message))
		}
		down := func(topic string, qos byte, message []byte) {
			if err := b.Publish("down/"+topic, message, false, qos); err != nil {
				t.Fatal(err)
			}
		}
		for i, way := range []struct {
			publish  func(topic string, qos byte, message []byte)
			prefix   string
			received func(topic string) [][]byte
		}{{up, "up/", b.received}, {down, "down/", h.received}} {
			n := 0
			publish := func(count int) {
				for range count {
					way.publish("1", 1, payload(n))
					way.publish("2", 2, payload(n))
					n++
				}
			}
			publish(3)
			h.LoseWiFi()
			publish(3) // nobody knows yet
			eventually(t, "the end of the connection", func() bool {
				_, ended, _ := b.look()
				return ended == i+1 && !h.IsConnectionOpen()
			})
			publish(3)
			h.RestoreWiFi()
			for _, k := range tokens {
				done(t, "publish", k)
			}
			for _, topic := range []string{way.prefix + "1", way.prefix + "2"} {
				eventually(t, topic, func() bool { return allOf(way.received(topic), n) })
			}
			eventually(t, "the end of all that is under way", func() bool { return b.underWay() == 0 })
			if sessions, ended, _ := b.look(); sessions != i+2 || ended != i+1 {
				t.Errorf("%d sessions, %d ended", sessions, ended)
			}
		}
		if len(b.received("up/will")) == 0 {
			t.Error("the broker did not publish the will")
		}
	})
}

// allOf reports whether each of n messages has come, however often and in whatever order.
func allOf(got [][]byte, n int) bool {
	for i := range n {
		if !slices.ContainsFunc(got, func(m []byte) bool { return bytes.Equal(m, payload(i)) }) {
			return false
		}
	}
	return true
}
