package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/childproc"
)

// firefox is a [Browser].
type firefox struct {
	profile string
	process *childproc.Process
	remote  *remote
}

// firefoxPrefs keep a new profile quiet; the remote agent sets many similar ones
// by itself.
var firefoxPrefs = map[string]any{
	"app.update.disabledForTesting":                               true,
	"browser.aboutwelcome.enabled":                                false,
	"browser.shell.checkDefaultBrowser":                           false,
	"browser.startup.homepage_override.mstone":                    "ignore",
	"browser.startup.page":                                        0,
	"datareporting.policy.dataSubmissionEnabled":                  false,
	"datareporting.policy.dataSubmissionPolicyBypassNotification": true,
	"network.captive-portal-service.enabled":                      false,
	"network.connectivity-service.enabled":                        false,
	"network.manage-offline-status":                               false,
	"services.settings.server":                                    "data:,#remote-settings-dummy/v1",
	"toolkit.telemetry.reportingpolicy.firstRun":                  false,
}

// StartFirefox starts the Firefox at path with a fresh profile. ctx limits the
// start only. The caller must call Close.
func StartFirefox(ctx context.Context, path string, options Options) (_ Browser, err error) {
	profile, err := os.MkdirTemp("", "firefox")
	if err != nil {
		return nil, fmt.Errorf("making a profile: %w", err)
	}
	f := &firefox{profile: profile}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	if err := writePrefs(profile, firefoxPrefs, options.Prefs); err != nil {
		return nil, err
	}
	args := []string{
		"--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0",
		// Only for the dark colour scheme, which BiDi can't emulate.
		"--remote-allow-system-access",
	}
	cmd := exec.Command(path, append(append(args, options.Flags...), "about:blank")...)
	cmd.Env = environment(profile, append([]string{"MOZ_CRASHREPORTER_DISABLE=1"}, options.Env...))
	url, err := f.start(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if f.remote, err = dialRemote(ctx, url+"/session"); err != nil {
		return nil, err
	}
	return f, f.newSession(ctx, options.AnyCertificate)
}

// writePrefs writes user.js, which Firefox reads before anything else.
func writePrefs(profile string, all ...map[string]any) error {
	var b strings.Builder
	for _, prefs := range all {
		for _, name := range slices.Sorted(maps.Keys(prefs)) {
			value, err := json.Marshal(prefs[name])
			if err != nil {
				return fmt.Errorf("encoding the preference %s: %w", name, err)
			}
			fmt.Fprintf(&b, "user_pref(%q, %s);\n", name, value)
		}
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("writing the preferences: %w", err)
	}
	return nil
}

// start starts the process and waits until it reports the address of BiDi.
func (f *firefox) start(ctx context.Context, cmd *exec.Cmd) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("preparing Firefox's stderr: %w", err)
	}
	cmd.Stderr = w
	f.process, err = childproc.Start(cmd)
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return "", err
	}
	url := make(chan string, 1)
	go func() {
		defer r.Close()
		defer close(url)
		lines := bufio.NewScanner(r)
		for lines.Scan() { // to the end: Firefox must not block on a full pipe
			if _, address, ok := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); ok {
				url <- strings.TrimSpace(address)
			}
		}
	}()
	select {
	case address := <-url:
		if address == "" {
			return "", errors.New("firefox has ended at its start")
		}
		return address, nil
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for Firefox's address: %w", ctx.Err())
	}
}

func (f *firefox) newSession(ctx context.Context, anyCertificate bool) error {
	capabilities := map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{"acceptInsecureCerts": anyCertificate}}}
	if err := f.call(ctx, "session.new", capabilities, nil); err != nil {
		return err
	}
	return f.call(ctx, "session.subscribe", map[string]any{"events": []string{"log.entryAdded"}}, nil)
}

func (f *firefox) call(ctx context.Context, method string, params, result any) error {
	return f.remote.call(ctx, "", method, params, result)
}

func (*firefox) Name() string { return "Firefox" }

func (f *firefox) Close() error {
	if f.remote != nil {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		// A failure doesn't matter: Stop below ends the process in any case.
		_ = f.call(ctx, "browser.close", nil, nil)
		select {
		case <-f.process.Done():
		case <-ctx.Done():
		}
		cancel()
		f.remote.close()
	}
	var errs []error
	if f.process != nil {
		errs = append(errs, f.process.Stop(grace))
	}
	errs = append(errs, removeProfile(f.profile))
	return errors.Join(errs...)
}

func (f *firefox) SetPermission(ctx context.Context, origin string, state Permission) error {
	return f.call(ctx, "permissions.setPermission", map[string]any{
		"descriptor": map[string]any{"name": "notifications"},
		"state":      state.protocolState(),
		"origin":     origin,
	}, nil)
}

func (f *firefox) Open(ctx context.Context, url string) (Page, error) {
	var created struct{ Context string }
	if err := f.call(ctx, "browsingContext.create", map[string]any{"type": "tab"}, &created); err != nil {
		return nil, err
	}
	page := f.page(created.Context)
	if err := page.Navigate(ctx, url); err != nil {
		return nil, errors.Join(err, page.Close(ctx))
	}
	return page, nil
}

// OpenPrivate opens the window together with the page: a window that is opened
// empty loads its own page at a time that a test can't know.
func (f *firefox) OpenPrivate(ctx context.Context, url string) (Page, error) {
	before, err := f.tabs(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.inWindow(ctx, fmt.Sprintf(`void openTrustedLinkIn(%q, "window", {private: true})`, url)); err != nil {
		return nil, err
	}
	for {
		tabs, err := f.tabs(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range tabs {
			if t.URL != url || slices.ContainsFunc(before, func(old tab) bool { return old.Context == t.Context }) {
				continue
			}
			page := f.page(t.Context)
			return page, WaitFor(ctx, page, `document.readyState === "complete"`)
		}
		if err := pause(ctx, poll); err != nil {
			return nil, fmt.Errorf("waiting for the private window, saw %v: %w", tabs, err)
		}
	}
}

func (f *firefox) BlockStorage(ctx context.Context, origin string) error {
	return f.inWindow(ctx, fmt.Sprintf(`Services.perms.addFromPrincipal(
		Services.scriptSecurityManager.createContentPrincipalFromOrigin(%q), "cookie", Services.perms.DENY_ACTION)`, origin))
}

type tab struct {
	Context string
	URL     string
}

func (f *firefox) tabs(ctx context.Context) ([]tab, error) {
	var tree struct{ Contexts []tab }
	if err := f.call(ctx, "browsingContext.getTree", map[string]any{"maxDepth": 0}, &tree); err != nil {
		return nil, err
	}
	return tree.Contexts, nil
}

func (f *firefox) Pages(ctx context.Context) ([]string, error) {
	tabs, err := f.tabs(ctx)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, t := range tabs {
		urls = append(urls, t.URL)
	}
	return urls, nil
}

func (f *firefox) WaitPage(ctx context.Context, match func(url string) bool) (Page, error) {
	for {
		tabs, err := f.tabs(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range tabs {
			if match(t.URL) {
				page := f.page(t.Context)
				return page, WaitFor(ctx, page, `document.readyState === "complete"`)
			}
		}
		if err := pause(ctx, poll); err != nil {
			return nil, fmt.Errorf("waiting for a page, saw %v: %w", tabs, err)
		}
	}
}

// setScheme sets the colour scheme of the selected tab's pages, through the
// browser's own window.
func (f *firefox) setScheme(ctx context.Context, scheme string) error {
	return f.inWindow(ctx, fmt.Sprintf(`void (gBrowser.selectedBrowser.browsingContext.prefersColorSchemeOverride = %q)`, scheme))
}

// inWindow evaluates an expression in the browser's own window.
func (f *firefox) inWindow(ctx context.Context, expression string) error {
	var tree struct{ Contexts []tab }
	params := map[string]any{"moz:scope": "chrome"}
	if err := f.call(ctx, "browsingContext.getTree", params, &tree); err != nil {
		return err
	}
	i := slices.IndexFunc(tree.Contexts, func(t tab) bool { return t.URL == "chrome://browser/content/browser.xhtml" })
	if i < 0 {
		return fmt.Errorf("firefox has no window among %v", tree.Contexts)
	}
	return f.eval(ctx, tree.Contexts[i].Context, expression, nil)
}

// eval evaluates an expression in a page's context or a chrome window's.
func (f *firefox) eval(ctx context.Context, in, expression string, result any) error {
	var answer struct {
		Type             string
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	params := map[string]any{
		"expression":     script(expression),
		"target":         map[string]any{"context": in},
		"awaitPromise":   true,
		"userActivation": false,
	}
	if err := f.call(ctx, "script.evaluate", params, &answer); err != nil {
		return err
	}
	if answer.Type == "exception" { // a syntax error
		return fmt.Errorf("evaluating: %s", answer.ExceptionDetails.Text)
	}
	return decodeScript(answer.Result.Value, result)
}
