package webpush

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// dialTimeout bounds name resolution and connecting together.
const dialTimeout = 5 * time.Second

// DialFunc opens a connection, like net.Dialer.DialContext.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// AddressError means that no connection was made because the host name resolved to an address that is not
// public.
type AddressError struct {
	Addr netip.Addr
}

// Error implements error.
func (e *AddressError) Error() string {
	return fmt.Sprintf("address %s is not public", e.Addr)
}

// PublicDialer returns a dialer that only connects to public unicast addresses. It checks the address between
// resolution and connect, on every dial, so neither DNS rebinding nor an internal record bypasses it.
// Refusals are *AddressError inside *net.OpError.
func PublicDialer() DialFunc {
	return publicDialer(nil)
}

// publicDialer resolves with the given resolver; nil means the system's.
func publicDialer(resolver *net.Resolver) DialFunc {
	special := specialPrefixes()
	d := &net.Dialer{
		Timeout:   dialTimeout,
		KeepAlive: 30 * time.Second,
		Resolver:  resolver,
		Control: func(network, address string, _ syscall.RawConn) error {
			return checkAddress(special, network, address)
		},
	}
	return d.DialContext
}

// checkAddress checks the resolved "ip:port" before the connect.
func checkAddress(special []netip.Prefix, network, address string) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("network %q is not TCP", network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the resolved address: %w", err)
	}
	if !isPublic(special, ap.Addr()) {
		return &AddressError{ap.Addr()}
	}
	return nil
}

// isPublic reports whether addr is a unicast address of the public Internet. IPv4-mapped IPv6 counts as the
// IPv4 address that the kernel would connect to. Only link-local addresses have zones, so any zone is
// refused.
func isPublic(special []netip.Prefix, addr netip.Addr) bool {
	if !addr.IsValid() || addr.Zone() != "" {
		return false
	}
	addr = addr.Unmap()
	if addr.Is6() && !netip.MustParsePrefix("2000::/3").Contains(addr) {
		// IANA has delegated global unicast space only from 2000::/3.
		return false
	}
	for _, p := range special {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

// specialPrefixes returns the IANA special-purpose address registries (RFC 6890 and successors) and some
// special addresses of clouds. Entries that IANA calls globally reachable (anycast relays, AS112) are
// included: no push service uses them. The standard library's predicates know fewer than half of these.
func specialPrefixes() []netip.Prefix {
	texts := []string{
		"0.0.0.0/8",         // this network; Linux connects 0.0.0.0 to loopback
		"10.0.0.0/8",        // private (RFC 1918)
		"100.64.0.0/10",     // carrier-grade NAT (RFC 6598), also cloud metadata
		"127.0.0.0/8",       // loopback
		"168.63.129.16/32",  // Azure's platform endpoint, a public address in name only
		"169.254.0.0/16",    // link-local, cloud metadata
		"172.16.0.0/12",     // private
		"192.0.0.0/24",      // IETF protocol assignments, DS-Lite, cloud metadata
		"192.0.2.0/24",      // documentation
		"192.31.196.0/24",   // AS112
		"192.52.193.0/24",   // AMT
		"192.88.99.0/24",    // 6to4 relay anycast, deprecated
		"192.168.0.0/16",    // private
		"192.175.48.0/24",   // AS112
		"198.18.0.0/15",     // benchmarking
		"198.51.100.0/24",   // documentation
		"203.0.113.0/24",    // documentation
		"224.0.0.0/4",       // multicast
		"240.0.0.0/4",       // reserved, with broadcast
		"::/96",             // unspecified, loopback, IPv4-compatible
		"::ffff:0:0/96",     // IPv4-mapped
		"::ffff:0:0:0/96",   // IPv4-translated (SIIT)
		"64:ff9b::/96",      // NAT64: reaches IPv4, private too
		"64:ff9b:1::/48",    // NAT64, local use
		"100::/64",          // discard
		"100:0:0:1::/64",    // dummy
		"2001::/23",         // IETF: Teredo, benchmarking, ORCHID, AMT, drone ID
		"2001:db8::/32",     // documentation
		"2002::/16",         // 6to4: carries an IPv4 address
		"2620:4f:8000::/48", // AS112
		"3ffe::/16",         // 6bone, returned
		"3fff::/20",         // documentation
		"5f00::/16",         // segment routing
		"fc00::/7",          // unique local
		"fe80::/10",         // link-local
		"fec0::/10",         // site-local, deprecated
		"ff00::/8",          // multicast
	}
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}
