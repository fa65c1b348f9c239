package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// knownServices are the push services of the browsers in use, one host of each.
var knownServices = []struct{ name, address string }{
	{"Chrome, Edge on Android, Brave, Opera (FCM)", "https://fcm.googleapis.com/"},
	{"Firefox (Mozilla)", "https://updates.push.services.mozilla.com/"},
	{"Safari (Apple)", "https://web.push.apple.com/"},
	{"Edge on Windows (WNS)", "https://wns2-par02p.notify.windows.com/"},
}

// serviceTime is how long a push service may take to answer at all.
const serviceTime = 5 * time.Second

// ReachServices looks whether the push services can be reached from this machine. Any
// answer will do: there is nothing to push.
func ReachServices(ctx context.Context, transport http.RoundTripper) []Diagnosis {
	found := make([]Diagnosis, len(knownServices))
	var all sync.WaitGroup
	for i, s := range knownServices {
		all.Go(func() { found[i] = reachService(ctx, transport, s.name, s.address) })
	}
	all.Wait()
	return found
}

func reachService(ctx context.Context, transport http.RoundTripper, name, address string) Diagnosis {
	ctx, cancel := context.WithTimeout(ctx, serviceTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return Diagnosis{"services", Warning, err.Error(), ""}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		reason, cure := unreachable(err)
		return Diagnosis{"services", Warning, fmt.Sprintf("%s cannot be reached from here: %s (%s): %v", name, reason, req.URL.Host, err), cure}
	}
	resp.Body.Close()
	return Diagnosis{"services", OK, fmt.Sprintf("%s can be reached from here (%s)", name, req.URL.Host), ""}
}

// unreachable says of an error what messages that fail by it are said to fail by.
func unreachable(err error) (reason, cure string) {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, new(*net.DNSError)):
		return "dns", "see to the names that this machine asks for: /etc/resolv.conf, or the container's network"
	case errors.As(err, &verification), errors.As(err, &record), errors.As(err, &alert):
		return "tls", "a proxy on the way out answers in its place, or this machine has no root certificates (the package ca-certificates)"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "timeout", "a firewall drops what goes out to port 443: let it through"
	}
	return "network", "see to this machine's way out to port 443"
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
