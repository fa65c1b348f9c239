package webpush

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestIsPublic(t *testing.T) {
	t.Parallel()
	special := specialPrefixes()
	refused := []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
		"127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.0.192", "192.0.2.1", "192.31.196.1",
		"192.52.193.1", "192.88.99.1", "192.168.0.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
		"203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
		"::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "100:0:0:1::1",
		"2001::1", "2001:0:a9fe:a9fe::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
		"2002:7f00:1::", "2002:a9fe:a9fe::1", "2620:4f:8000::1", "3ffe::1", "3fff::1", "5f00::1", "4000::1", "8000::1",
		"fc00::1", "fd00:ec2::254", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2600::1%eth0",
	}
	if len(refused) < 47 {
		t.Fatal("table too short")
	}
	for _, text := range refused {
		if isPublic(special, netip.MustParseAddr(text)) {
			t.Errorf("%s passes", text)
		}
	}
	// Addresses next to the special ranges, and hosts of real networks.
	for _, text := range []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
		"142.250.74.10", "168.63.129.15", "168.63.129.17", "169.253.255.255", "172.15.255.255", "172.32.0.0",
		"17.188.143.34", "192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"::ffff:142.250.74.10", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2600::1", "2620:149:a44::1", "2a00:1450:4001::a",
	} {
		if !isPublic(special, netip.MustParseAddr(text)) {
			t.Errorf("%s is refused", text)
		}
	}
	if isPublic(special, netip.Addr{}) {
		t.Error("the zero address passes")
	}
}

func TestPublicDialerRefuses(t *testing.T) {
	t.Parallel()
	listener, hits := countingListener(t)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	dial := PublicDialer()
	for _, host := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "localhost"} {
		conn, err := dial(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			conn.Close()
			t.Errorf("%s: connected", host)
			continue
		}
		var refused *AddressError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d connections arrived", n)
	}
	if _, err := dial(t.Context(), "udp", "8.8.8.8:53"); err == nil {
		t.Error("UDP passes")
	}
}

// TestPublicDialerRebinding: a name that is public at the first lookup and loopback afterwards.
func TestPublicDialerRebinding(t *testing.T) {
	t.Parallel()
	listener, hits := countingListener(t)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	dns := newFakeDNS(t, func(query int32) [4]byte {
		if query == 1 {
			return [4]byte{142, 250, 74, 10}
		}
		return [4]byte{127, 0, 0, 1}
	})
	addrs, err := dns.resolver().LookupNetIP(t.Context(), "ip4", "push.example.net.")
	if err != nil || len(addrs) != 1 || !isPublic(specialPrefixes(), addrs[0]) {
		t.Fatalf("the check before: %v, %v", addrs, err)
	}

	// Control: an ordinary dialer reaches another address than the checked one.
	plain := net.Dialer{Resolver: dns.resolver()}
	conn, err := plain.DialContext(t.Context(), "tcp4", "push.example.net.:"+port)
	if err != nil {
		t.Fatalf("an unguarded dialer: %v", err)
	}
	conn.Close()
	waitFor(t, func() bool { return hits.Load() == 1 })

	_, err = publicDialer(dns.resolver())(t.Context(), "tcp4", "push.example.net.:"+port)
	var refused *AddressError
	if !errors.As(err, &refused) || refused.Addr != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("%v", err)
	}
	if n := hits.Load(); n != 1 {
		t.Errorf("%d connections arrived, one of them unguarded", n)
	}
}

func countingListener(t *testing.T) (net.Listener, *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var hits atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			hits.Add(1)
			conn.Close()
		}
	}()
	return listener, &hits
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// fakeDNS answers the nth A query with answer(n).
type fakeDNS struct{ addr string }

func newFakeDNS(t *testing.T, answer func(query int32) [4]byte) *fakeDNS {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		var queries int32
		packet := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			end := 12 + strings.IndexByte(string(packet[12:n]), 0) + 5 // name, type, class
			reply := append([]byte(nil), packet[:end]...)
			reply[2], reply[3] = 0x81, 0x80                        // answer, no error
			copy(reply[4:12], []byte{0, 1, 0, 0, 0, 0, 0, 0})      // one question
			if binary.BigEndian.Uint16(packet[end-4:end-2]) == 1 { // A
				queries++
				ip := answer(queries)
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ip[0], ip[1], ip[2], ip[3])
			}
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	return &fakeDNS{conn.LocalAddr().String()}
}

func (f *fakeDNS) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", f.addr)
	}}
}
