package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// certificateFault is why browsers do not trust a certificate, and the cure.
type certificateFault struct{ finding, cure string }

// distrusted checks a certificate that is not trusted here, and turns the check of certificates
// off, to examine the rest; it returns false if the error is another one, or the check cannot be
// turned off.
func (d *doctor) distrusted(err error) bool {
	var bad *tls.CertificateVerificationError
	transport, ok := d.client.Transport.(*http.Transport)
	if !ok || !errors.As(err, &bad) {
		return false
	}
	transport = transport.Clone()
	if transport.TLSClientConfig == nil {
		transport.TLSClientConfig = &tls.Config{}
	}
	d.roots = transport.TLSClientConfig.RootCAs
	transport.TLSClientConfig.InsecureSkipVerify = true
	d.client.Transport = transport
	return true
}

// certificate reports the faults of the page's certificate.
func (d *doctor) certificate() (sound bool) {
	state := d.page.TLS
	if state == nil || len(state.PeerCertificates) == 0 {
		return true
	}
	faults := certificateFaults(state.PeerCertificates, d.page.Request.URL.Hostname(), d.roots, time.Now())
	v := Problem
	if d.lenient {
		v = Warning
	}
	for _, f := range faults {
		d.say("certificate", v, f.cure, "%s: browsers refuse service workers over it, even if the visitor ignores the warning", f.finding)
	}
	return len(faults) == 0
}

// certificateFaults returns everything that keeps browsers from trusting a chain for a host: names,
// times, and issuer (RFC 5280 §6). roots are the trusted authorities; nil for the system's.
func certificateFaults(chain []*x509.Certificate, host string, roots *x509.CertPool, now time.Time) (faults []certificateFault) {
	leaf := chain[0]
	if err := leaf.VerifyHostname(host); err != nil {
		names := append(append([]string{}, leaf.DNSNames...), addresses(leaf)...)
		faults = append(faults, certificateFault{
			fmt.Sprintf("the certificate has the wrong name: it is for %s, not for %s", orNothing(strings.Join(names, ", ")), host),
			"have a certificate issued for " + host + "; Caddy does so by itself where the site's address has that name",
		})
	}
	for i, c := range chain {
		whose := "the certificate"
		if i > 0 {
			whose = fmt.Sprintf("the certificate of its issuer %q", c.Subject.CommonName)
		}
		switch {
		case now.After(c.NotAfter):
			faults = append(faults, certificateFault{fmt.Sprintf("%s has expired on %s", whose, c.NotAfter.Format(time.DateOnly)), "renew it; Caddy does so by itself, so look into its log for why it could not, or who else serves this address"})
		case now.Before(c.NotBefore):
			faults = append(faults, certificateFault{fmt.Sprintf("%s is not valid before %s", whose, c.NotBefore.Format(time.RFC3339)), "set the clocks right, or wait"})
		}
	}
	if f, bad := issuerFault(chain, roots); bad {
		faults = append(faults, f)
	}
	return faults
}

// issuerFault returns the reason why no trusted authority vouches for a chain.
func issuerFault(chain []*x509.Certificate, roots *x509.CertPool) (certificateFault, bool) {
	leaf, last := chain[0], chain[len(chain)-1]
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := leaf.Verify(options)
	switch {
	case err == nil, !errors.As(err, new(x509.UnknownAuthorityError)):
		return certificateFault{}, false // times are checked elsewhere
	case selfSigned(leaf):
		return certificateFault{"the certificate is self-signed", "have one issued by an authority that browsers trust; Caddy gets one by itself for a public host name"}, true
	case len(chain) == 1:
		return certificateFault{
			fmt.Sprintf("the chain is incomplete: the server sends the certificate without that of its issuer %q, which is not trusted itself", leaf.Issuer.CommonName),
			"send the issuer's certificate after the site's own, in one file (\"fullchain\"); where the issuer is an authority of your own, install that in the browsers",
		}, true
	case !selfSigned(last):
		return certificateFault{
			fmt.Sprintf("the chain ends at %q, which is not trusted: the next certificate is missing, or the authority is not a public one", last.Issuer.CommonName),
			"complete the chain that the server sends, or have a certificate issued by an authority that browsers trust",
		}, true
	}
	return certificateFault{
		fmt.Sprintf("the certificate is issued by %q, which is not trusted", last.Subject.CommonName),
		"have one issued by an authority that browsers trust, or install this one in the browsers; --insecure examines the site anyway",
	}, true
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func addresses(c *x509.Certificate) (all []string) {
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

func orNothing(s string) string {
	if s == "" {
		return "no name"
	}
	return s
}
