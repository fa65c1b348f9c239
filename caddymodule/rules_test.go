package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/caddy-webpush/caddy-webpush/"

type listedPackage struct {
	ImportPath string
	Doc        string
	Deps       []string
	Imports    []string
	Standard   bool
}

func listPackages(t *testing.T, args ...string) []listedPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Doc,Deps,Imports,Standard"}, args...)...)
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listedPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// layers lists which packages may import which inside the module: a package may
// import only its own layer's list.
var layers = map[string][]string{
	"injector":                 {"injector/cachecontrol"},
	"injector/cachecontrol":    {},
	"pushsvc":                  {},
	"pushsvc/people":           {"pushsvc"},
	"pushsvc/popup":            {"pushsvc", "pushsvc/people"},
	"pushsvc/prompt":           {"pushsvc"},
	"pushsvc/store":            {"pushsvc", "pushsvc/people", "pushsvc/popup"},
	"pushsvc/webpush":          {"pushsvc", "pushsvc/webpush/h2push"},
	"pushsvc/webpush/h2push":   {},
	"pushsvc/webpush/certtest": {},
	"pushsvc/delivery":         {"pushsvc", "pushsvc/store", "pushsvc/webpush"},
	"pushsvc/onsite":           {"pushsvc", "pushsvc/popup"},
	"pushsvc/audience":         {},
	"pushsvc/personal":         {"pushsvc", "pushsvc/popup"},
	"pushsvc/transfer":         {},
	"pushsvc/service":          {"pushsvc", "pushsvc/api", "pushsvc/people", "pushsvc/popup", "pushsvc/prompt", "pushsvc/store", "pushsvc/webpush", "pushsvc/delivery", "pushsvc/transfer", "pushsvc/onsite", "pushsvc/audience", "pushsvc/personal"},
	"pushsvc/web":              {},
	"pushsvc/web/build":        {},
	"pushsvc/api":              {"pushsvc", "pushsvc/people", "pushsvc/popup", "pushsvc/prompt", "pushsvc/transfer"},
	"pushsvc/api/gen":          {"pushsvc", "pushsvc/api", "pushsvc/httpapi", "pushsvc/people", "pushsvc/service"},
	"pushsvc/httpapi":          {"injector/cachecontrol", "pushsvc", "pushsvc/api", "pushsvc/people", "pushsvc/popup", "pushsvc/prompt", "pushsvc/service", "pushsvc/httpapi/exchange", "pushsvc/web"},
	"pushsvc/httpapi/exchange": {"pushsvc", "pushsvc/api", "pushsvc/popup", "pushsvc/service", "pushsvc/transfer"},
	"pushsvc/httpapi/operator": {"pushsvc", "pushsvc/api", "pushsvc/people", "pushsvc/popup", "pushsvc/prompt", "pushsvc/service", "pushsvc/transfer", "pushsvc/httpapi/exchange"},
	"pushsvc/store/boltstore":  {"pushsvc", "pushsvc/people", "pushsvc/popup", "pushsvc/store", "pushsvc/store/boltstore/checkedbolt"},
	"pushsvc/store/memstore":   {"pushsvc", "pushsvc/people", "pushsvc/popup", "pushsvc/store"},
	"pushsvc/store/storetest":  {"pushsvc", "pushsvc/people", "pushsvc/popup", "pushsvc/store"},
	"pushsvc/bench/stats":      {},
	"pushsvc/bench": {
		"pushsvc", "pushsvc/store", "pushsvc/bench/stats", "pushsvc/webpush", "pushsvc/webpush/certtest", "pushsvc/delivery", "pushsvc/service", "pushsvc/transfer",
		"pushsvc/store/boltstore",
	},
	"pushsvc/store/boltstore/checkedbolt": {},

	"caddymodule/providers": {},
	"caddymodule/doctor":    {"caddymodule/providers", "injector", "pushsvc/api", "pushsvc/httpapi"},
	"caddymodule/cli": {
		"caddymodule/doctor", "pushsvc", "pushsvc/api", "pushsvc/httpapi", "pushsvc/onsite", "pushsvc/people", "pushsvc/popup", "pushsvc/prompt", "pushsvc/service",
		"pushsvc/webpush", "pushsvc/store/boltstore",
	},
	"caddymodule/caddytest": {"pushsvc/store/boltstore", "pushsvc/webpush/certtest"},
}

// outside lists the allowed external imports, by layer; a layer that is not
// listed may import only the standard library.
var outside = map[string][]string{
	"pushsvc/bench":  {"github.com/SherClockHolmes/webpush-go"},
	"injector":       {"github.com/andybalholm/brotli", "github.com/klauspost/compress/flate", "github.com/klauspost/compress/gzip", "github.com/klauspost/compress/zstd"},
	"pushsvc":        {"golang.org/x/net/idna"},
	"pushsvc/onsite": {"golang.org/x/net/idna", "golang.org/x/text/unicode/norm"},
	"pushsvc/audience": {
		"cel.dev/cel-go/cel", "cel.dev/cel-go/common/ast", "cel.dev/cel-go/common/types", "cel.dev/cel-go/common/types/ref",
		"cel.dev/cel-go/common/types/traits", "cel.dev/cel-go/ext", "cel.dev/cel-go/interpreter",
	},
	"pushsvc/personal": {"github.com/osteele/liquid"},
	"pushsvc/delivery": {"golang.org/x/time/rate"},
	"pushsvc/service":  {"github.com/google/uuid", "github.com/go-json-experiment/json"},
	"pushsvc/httpapi":  {"github.com/go-json-experiment/json", "github.com/go-json-experiment/json/jsontext"},

	"pushsvc/httpapi/exchange": {"github.com/go-json-experiment/json", "github.com/go-json-experiment/json/jsontext"},
	"pushsvc/web/build":        {"github.com/evanw/esbuild/pkg/api"},
	"pushsvc/store/boltstore":  {"go.etcd.io/bbolt/errors"},
	"pushsvc/store/storetest":  {"github.com/google/go-cmp/cmp", "github.com/google/go-cmp/cmp/cmpopts"},
	"pushsvc/webpush":          {"github.com/SherClockHolmes/webpush-go", "golang.org/x/net/http2"},
	"pushsvc/webpush/h2push":   {"golang.org/x/net/http2", "golang.org/x/net/http2/hpack"},

	"pushsvc/store/boltstore/checkedbolt": {"go.etcd.io/bbolt", "go.etcd.io/bbolt/errors"},

	"caddymodule/caddytest": {
		"github.com/caddyserver/caddy/v2", "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile", "github.com/caddyserver/caddy/v2/cmd",
	},
	"caddymodule/doctor": {"golang.org/x/net/html"},
	"caddymodule/cli": {
		"github.com/caddyserver/caddy/v2", "github.com/caddyserver/caddy/v2/cmd", "github.com/google/uuid", "github.com/spf13/cobra", "github.com/spf13/pflag",
	},
}

// withoutCaddy are the packages that do not depend on Caddy; underCaddymodule are
// those below caddymodule, which never import it.
var (
	withoutCaddy     = []string{"./injector/...", "./pushsvc/...", "./caddymodule/doctor", "./caddymodule/providers"}
	underCaddymodule = []string{"./caddymodule/cli", "./caddymodule/caddytest"}
)

// TestImportRules checks the arrows of the design. injector and pushsvc share
// only their Cache-Control parser. The command line and the doctor are below
// caddymodule, and neither the doctor nor any package below it imports Caddy.
func TestImportRules(t *testing.T) {
	for _, p := range listPackages(t, slices.Concat(withoutCaddy, underCaddymodule)...) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := layers[name]
		if !known {
			t.Errorf("%s is in no layer: say in layers what it may import", name)
			continue
		}
		for _, imp := range p.Imports {
			inside, ours := strings.CutPrefix(imp, module)
			switch {
			case ours && !slices.Contains(allowed, inside):
				t.Errorf("%s must not import %s", name, inside)
			case !ours && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") && !slices.Contains(outside[name], imp):
				t.Errorf("%s must not import %s", name, imp)
			}
		}
	}
}

// TestNoCaddyBelow checks all transitive dependencies of the libraries.
func TestNoCaddyBelow(t *testing.T) {
	for _, p := range listPackages(t, withoutCaddy...) {
		for _, dep := range p.Deps {
			for _, bad := range []string{"github.com/caddyserver/", "go.uber.org/zap", "github.com/spf13/cobra", "github.com/prometheus/"} {
				if strings.HasPrefix(dep, bad) {
					t.Errorf("%s depends on %s", p.ImportPath, dep)
				}
			}
		}
	}
}

// TestServerHasNoBuildTools: the released program contains neither esbuild nor
// test libraries.
func TestServerHasNoBuildTools(t *testing.T) {
	for _, p := range listPackages(t, "./caddymodule/cmd/caddy") {
		for _, dep := range p.Deps {
			for _, bad := range []string{
				"github.com/evanw/esbuild", "github.com/google/go-cmp", "github.com/godbus/dbus", "github.com/coder/websocket",
				module + "pushsvc/api/gen",
				module + "caddymodule/e2e", module + "pushsvc/store/memstore", module + "pushsvc/store/storetest",
				module + "pushsvc/webpush/certtest", module + "caddymodule/caddytest",
			} {
				if strings.HasPrefix(dep, bad) {
					t.Errorf("the server links %s", dep)
				}
			}
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	for _, p := range listPackages(t, "-tags=e2e", "./...") {
		if p.Doc == "" && !strings.HasSuffix(p.ImportPath, "/examples") {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
