package caddymodule_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/doctor"
)

// authority signs certificates: its own certificate, and its issuer's.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate; change may change it before it is signed; a nil issuer makes it
// self-signed.
func (issuer *authority) issue(t *testing.T, name string, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return &authority{c, key}
}

func isCA(c *x509.Certificate) { c.IsCA, c.IPAddresses = true, nil }

// certified is a page of ours over TLS with a certificate, and the chain sent after it.
func certified(t *testing.T, to string, leaf *authority, issuers ...*authority) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewUnstartedServer(proxy)
	chain := tls.Certificate{PrivateKey: leaf.key, Certificate: [][]byte{leaf.cert.Raw}}
	for _, c := range issuers {
		chain.Certificate = append(chain.Certificate, c.cert.Raw)
	}
	front.TLS = &tls.Config{Certificates: []tls.Certificate{chain}}
	front.Config.ErrorLog = nil
	front.StartTLS()
	t.Cleanup(front.Close)
	return front.URL
}

// TestDoctorCertificate: certificates that browsers do not trust are reported by their fault; the
// rest of the page is examined too.
func TestDoctorCertificate(t *testing.T) {
	s := start(t, site{upstream: upstream(t, nil)})
	var selfSigned *authority
	root := selfSigned.issue(t, "Root", isCA)
	middle := root.issue(t, "Middle", isCA)
	private := selfSigned.issue(t, "Private", isCA)
	privateMiddle := private.issue(t, "Private Middle", isCA)
	old := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-24 * time.Hour) }
	early := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(24 * time.Hour) }
	wrong := func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} }
	for _, tt := range []struct {
		name    string
		leaf    *authority
		issuers []*authority
		wants   []string
	}{
		{"sound", middle.issue(t, "site", nil), []*authority{middle}, nil},
		{"self-signed", selfSigned.issue(t, "site", nil), nil, []string{"self-signed"}},
		{"wrong name", middle.issue(t, "site", wrong), []*authority{middle}, []string{"wrong name: it is for other.example, not for 127.0.0.1"}},
		{"expired", middle.issue(t, "site", old), []*authority{middle}, []string{"has expired on"}},
		{"too early", middle.issue(t, "site", early), []*authority{middle}, []string{"is not valid before"}},
		{"incomplete chain", middle.issue(t, "site", nil), nil, []string{`chain is incomplete: the server sends the certificate without that of its issuer "Middle"`}},
		{"incomplete further up", privateMiddle.issue(t, "site", nil), []*authority{privateMiddle}, []string{`chain ends at "Private"`}},
		{"private authority", privateMiddle.issue(t, "site", nil), []*authority{privateMiddle, private}, []string{`issued by "Private"`}},
		{"expired, of another name", middle.issue(t, "site", func(c *x509.Certificate) { old(c); wrong(c) }), []*authority{middle}, []string{"wrong name", "has expired"}},
		{"expired and self-signed", selfSigned.issue(t, "site", old), nil, []string{"has expired", "self-signed"}},
		{"issuer has expired", root.issue(t, "Old", func(c *x509.Certificate) { isCA(c); old(c) }).issue(t, "site", nil), nil, []string{"incomplete"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := certified(t, s.url, tt.leaf, tt.issuers...)
			pool := x509.NewCertPool()
			pool.AddCert(root.cert)
			for _, insecure := range []bool{false, true} {
				transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, InsecureSkipVerify: insecure}, DisableKeepAlives: true}
				report, err := doctor.Examine(t.Context(), transport, address+"/")
				if err != nil {
					t.Fatal(err)
				}
				var found []string
				for _, d := range report.Diagnoses {
					if d.Check != "certificate" {
						continue
					}
					found = append(found, d.Finding)
					if want := map[bool]string{false: "problem", true: "warning"}[insecure]; string(d.Verdict) != want || d.Cure == "" || !strings.Contains(d.Finding, "service workers") {
						t.Errorf("insecure %t: %+v", insecure, d)
					}
				}
				if len(found) != len(tt.wants) || report.Healthy != (insecure || len(tt.wants) == 0) {
					t.Errorf("insecure %t: healthy %t, found %q, want %q", insecure, report.Healthy, found, tt.wants)
					continue
				}
				for i, want := range tt.wants {
					if !strings.Contains(found[i], want) {
						t.Errorf("insecure %t: found %q, want %q", insecure, found[i], want)
					}
				}
			}
		})
	}
}
