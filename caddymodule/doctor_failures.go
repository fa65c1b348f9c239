package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// failures has the doctor ask the running Caddy, if there is one, why browsers of the
// site's visitors could not be subscribed.
func (c *command) failures(report *checkup) {
	addr, err := caddycmd.DetermineAdminAPIAddress(c.address, nil, c.config, c.adapter)
	if err != nil || report.site == "" {
		return
	}
	resp, err := caddycmd.AdminAPIRequest(addr, http.MethodGet, "/webpush/sites/"+url.PathEscape(report.site)+"/failures", nil, nil)
	if err != nil {
		return // the doctor needs no Caddy
	}
	defer resp.Body.Close()
	var counts httpapi.FailureCounts
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxExamined)).Decode(&counts); err == nil {
		report.Diagnoses = append(report.Diagnoses, failuresOf(counts)...)
	}
}

// failuresOf has one finding for each code, the most frequent first.
func failuresOf(counts httpapi.FailureCounts) (found []diagnosis) {
	var codes []string
	for code, n := range counts.Failures {
		if n > 0 {
			codes = append(codes, code)
		}
	}
	slices.SortFunc(codes, func(a, b string) int {
		if d := counts.Failures[b] - counts.Failures[a]; d != 0 {
			return int(d)
		}
		return strings.Compare(a, b)
	})
	for _, code := range codes {
		finding := fmt.Sprintf("%d visits since %s could not subscribe: %s", counts.Failures[code], counts.Since.Format(time.RFC3339), code)
		found = append(found, diagnosis{"failures", caution, finding, httpapi.FailureCure(code)})
	}
	return found
}
