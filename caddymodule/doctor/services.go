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

// serviceTime is how long a push service may take to answer.
const serviceTime = 5 * time.Second

// ReachServices checks whether the push services can be reached from this machine. Any answer
// counts: there is nothing to push.
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

// unreachable returns the reason that failing messages have for an error, and the cure.
func unreachable(err error) (reason, cure string) {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, new(*net.DNSError)):
		return "dns", "check this machine's name servers: /etc/resolv.conf, or the container's network"
	case errors.As(err, &verification), errors.As(err, &record), errors.As(err, &alert):
		return "tls", "an outgoing proxy answers in its place, or this machine has no root certificates (the package ca-certificates)"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "timeout", "a firewall drops outgoing traffic to port 443: allow it"
	}
	return "network", "check this machine's outgoing connections to port 443"
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
