package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/doctor"
)

// TestDoctorOrder: the command finds it, and the failures that browsers have reported.
func TestDoctorOrder(t *testing.T) {
	p := newProcess(t, "localhost:8080 {\n\troute {\n\t\twebpush\n\t\tencode\n\t\theader Content-Type text/html\n\t\trespond \"<!doctype html><title>x</title>\"\n\t}\n}\n", t.TempDir())
	text, err := os.ReadFile(p.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.File, []byte(strings.Replace(string(text), "localhost:"+fmt.Sprint(p.Port)+" {", "http://localhost:"+fmt.Sprint(p.Port)+" {", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Start()
	for range 2 {
		p.Request("POST", p.Host(), "/_webpush/events", map[string]string{"Content-Type": "text/plain", "Sec-Fetch-Site": "same-origin"}, `{"failure":"push_refused"}`)
	}
	out, stderr, err := p.CLI("doctor", "--json", "http://"+p.Host()+"/")
	var report doctor.Checkup
	if err != nil || json.Unmarshal([]byte(out), &report) != nil {
		t.Fatalf("%v %s\n%s", err, stderr, out)
	}
	for _, want := range []doctor.Diagnosis{
		{Check: "order", Finding: "encode inside of webpush", Cure: "order webpush before encode"},
		{Check: "failures", Finding: "2 visits", Cure: "Brave"},
	} {
		if !slices.ContainsFunc(report.Diagnoses, func(d doctor.Diagnosis) bool {
			return d.Check == want.Check && d.Verdict == doctor.Warning && strings.Contains(d.Finding, want.Finding) && strings.Contains(d.Cure, want.Cure)
		}) {
			t.Errorf("no warning %+v in %+v", want, report.Diagnoses)
		}
	}
	p.Terminate()
}

func TestDoctorCommand(t *testing.T) {
	p := started(t, "")
	out, stderr, err := p.CLI("doctor", p.URL+"/")
	if err == nil || !strings.Contains(stderr, "keeps visitors") || !strings.Contains(out, "✗ page") {
		t.Errorf("by its address, where no site is: %v\n%s", err, out)
	}
	out, stderr, err = p.CLI("doctor", "--json", "http://"+p.Host()+"/")
	var report struct {
		Healthy   bool
		Diagnoses []struct{ Check, Verdict string }
	}
	if err != nil || json.Unmarshal([]byte(out), &report) != nil || !report.Healthy || len(report.Diagnoses) < 6 {
		t.Errorf("%v %s\n%s", err, stderr, out)
	}
	if out, stderr, err := p.CLI("doctor", p.Host()); err != nil || !strings.Contains(out, "http://"+p.Host()) {
		t.Errorf("without a scheme: %v %s\n%s", err, stderr, out)
	}
	if out, _, err := p.CLI("doctor", "--json", "http://127.0.0.1:1/"); err == nil || json.Unmarshal([]byte(out), &report) != nil || report.Healthy {
		t.Errorf("if no server listens: %v\n%s", err, out)
	}
	p.Terminate()
}
