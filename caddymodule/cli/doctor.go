package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/doctor"
)

// errUnhealthy ends the command with a status that scripts see.
var errUnhealthy = errors.New("something keeps visitors from subscribing")

func (c *command) doctor() *cobra.Command {
	var insecure, services bool
	cmd := &cobra.Command{
		Use:   "doctor <URL>",
		Short: "Finds out why a site's visitors cannot subscribe, and names the cure",
		Long: `Fetches a page as a browser does, and all that the page needs for push. Checks the
script, certificate, worker, manifest, icons, endpoint, Content-Security-Policy and
nonce, how long caches keep our files, and other push providers. Prints the results,
and a cure for each fault. With --push-services it also checks that this machine can
reach the push services of the browsers.

It works with any address and needs no running Caddy. If Caddy runs here, it also
checks that Caddy knows its clients behind proxies and compresses pages, and it prints
the failures that browsers have reported. The exit status is 0 if visitors can
subscribe, also with warnings, and 1 if they cannot.`,
		Example: `  caddy webpush doctor https://shop.example.com/
  caddy webpush doctor --json localhost:8080
  caddy webpush doctor --push-services https://shop.example.com/`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			return c.runDoctor(ctx, args[0], insecure, services)
		},
	}
	cmd.Flags().BoolVarP(&insecure, "insecure", "k", false, "Accept certificates that this machine does not trust")
	cmd.Flags().BoolVar(&services, "push-services", false, "Check that this machine can reach the push services, within five seconds")
	return cmd
}

func (c *command) runDoctor(ctx context.Context, address string, insecure, services bool) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: insecure} //nolint:gosec // the operator's own site, at the operator's wish
	result, err := doctor.Examine(ctx, transport, address)
	if err != nil && !c.json {
		return err
	}
	if err != nil {
		result = doctor.Checkup{URL: address, Diagnoses: []doctor.Diagnosis{{Check: "page", Verdict: doctor.Problem, Finding: err.Error()}}}
	}
	c.proxies(ctx, &result)
	c.failures(ctx, &result)
	if services {
		result.Diagnoses = append(result.Diagnoses, doctor.ReachServices(ctx, &http.Transport{DisableKeepAlives: true})...)
	}
	raw, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	if err := c.print(append(raw, '\n'), func(w io.Writer) error { return printCheckup(w, result) }); err != nil {
		return err
	}
	if !result.Healthy {
		return errUnhealthy
	}
	return nil
}

var verdictSigns = map[doctor.Verdict]string{doctor.OK: "✓", doctor.Warning: "!", doctor.Problem: "✗"}

func printCheckup(w io.Writer, r doctor.Checkup) error {
	fmt.Fprintf(w, "%s\n\n", r.URL)
	warnings := 0
	for _, d := range r.Diagnoses {
		fmt.Fprintf(w, " %s %-12s %s\n", verdictSigns[d.Verdict], d.Check, printable(d.Finding))
		if d.Cure != "" {
			fmt.Fprintf(w, "   %-12s → %s\n", "", printable(d.Cure))
		}
		if d.Verdict == doctor.Warning {
			warnings++
		}
	}
	summary := "\nVisitors can subscribe here."
	switch {
	case !r.Healthy:
		summary = "\nVisitors cannot subscribe here."
	case warnings > 0:
		summary = fmt.Sprintf("\nVisitors can subscribe here; %d thing(s) could be better.", warnings)
	}
	_, err := fmt.Fprintln(w, summary)
	return err
}

// maxAnswer limits the size of the running Caddy's configuration.
const maxAnswer = 16 << 20

// configuredServers reads the HTTP servers of the running Caddy's configuration.
func (c *command) configuredServers(ctx context.Context) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/config/apps/http/servers", nil)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	resp, err := endpoint{c.admin}.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading the configuration: the server answered %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return text, nil
}

// proxies has the doctor look at the running Caddy, if there is one.
func (c *command) proxies(ctx context.Context, report *doctor.Checkup) {
	addr, err := c.admin()
	if err != nil {
		return
	}
	text, err := c.configuredServers(ctx)
	if err != nil {
		return // the doctor needs no Caddy
	}
	for _, look := range []struct {
		check       string
		find        func([]byte) ([]string, error)
		fault, cure string
	}{
		{"proxies", doctor.TrustingServers, doctor.ProxyFault, doctor.ProxyCure},
		{"order", doctor.EncodingServers, doctor.OrderFault, doctor.OrderCure},
	} {
		found, err := look.find(text)
		switch {
		case err != nil:
			report.Diagnoses = append(report.Diagnoses, doctor.Diagnosis{Check: look.check, Verdict: doctor.Warning, Finding: err.Error()})
		case len(found) > 0:
			report.Diagnoses = append(report.Diagnoses, doctor.Diagnosis{
				Check: look.check, Verdict: doctor.Warning, Cure: look.cure,
				Finding: fmt.Sprintf("server %s of the Caddy at %s %s", strings.Join(found, ", "), addr, look.fault),
			})
		}
	}
}

// failures has the doctor ask the running Caddy, if there is one, why browsers of the
// site's visitors could not be subscribed.
func (c *command) failures(ctx context.Context, report *doctor.Checkup) {
	if report.Site == "" {
		return
	}
	counts, err := c.client(nil).Failures(ctx, report.Site)
	if err != nil {
		return // the doctor needs no Caddy
	}
	report.Diagnoses = append(report.Diagnoses, doctor.Failures(counts)...)
}
