package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/childproc"
)

// chromium is a [Browser]. It uses the default browser context, since contexts
// made later are off the record and have no push.
type chromium struct {
	profile string
	process *childproc.Process
	remote  *remote
}

// chromiumFlags are the switches of every start. The sandbox is off, as it can't
// run as root; no other switch makes tests easier than reality.
func chromiumFlags(profile string) []string {
	return []string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--no-default-browser-check", "--disable-crash-reporter", "--disable-breakpad",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		// With these, the first subscribe() takes 2 s; without them up to 6 s.
		"--disable-extensions", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		"--disable-background-timer-throttling",
		"--disable-dev-shm-usage", "--password-store=basic", "--use-mock-keychain",
		"--user-data-dir=" + profile,
		"--remote-debugging-port=0", "--remote-debugging-address=127.0.0.1",
	}
}

// StartChromium starts the Chromium at path with a fresh profile. ctx limits
// the start only. The caller must call Close.
func StartChromium(ctx context.Context, path string, options Options) (_ Browser, err error) {
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, fmt.Errorf("making a profile: %w", err)
	}
	c := &chromium{profile: profile}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	flags := append(chromiumFlags(profile), options.Flags...)
	if options.AnyCertificate {
		flags = append(flags, "--ignore-certificate-errors")
	}
	cmd := exec.Command(path, append(flags, "about:blank")...)
	cmd.Env = environment(profile, options.Env)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = grace // a descendant could hold stderr open
	if c.process, err = childproc.Start(cmd); err != nil {
		return nil, err
	}
	url, err := c.waitDevTools(ctx)
	if err != nil {
		if c.process.Err() != nil { // only then does no goroutine write to stderr any more
			err = fmt.Errorf("%w: %s", err, stderr.String())
		}
		return nil, err
	}
	if c.remote, err = dialRemote(ctx, url); err != nil {
		return nil, err
	}
	return c, nil
}

// waitDevTools waits for the file in which Chromium writes its port and path.
func (c *chromium) waitDevTools(ctx context.Context) (string, error) {
	for {
		text, err := os.ReadFile(filepath.Join(c.profile, "DevToolsActivePort"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("reading Chromium's port: %w", err)
		}
		// The second line may not be written yet.
		port, path, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		if path != "" {
			return "ws://127.0.0.1:" + port + path, nil
		}
		select {
		case <-c.process.Done():
			return "", fmt.Errorf("chromium has ended at its start: %w", c.process.Err())
		default:
		}
		if err := pause(ctx, poll); err != nil {
			return "", fmt.Errorf("waiting for Chromium's port: %w", err)
		}
	}
}

func (*chromium) Name() string { return "Chromium" }

func (c *chromium) Close() error {
	if c.remote != nil {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		// A failure doesn't matter: Stop below ends the process in any case.
		_ = c.remote.call(ctx, "", "Browser.close", nil, nil)
		if c.process != nil {
			select {
			case <-c.process.Done():
			case <-ctx.Done():
			}
		}
		cancel()
		c.remote.close()
	}
	var errs []error
	if c.process != nil {
		errs = append(errs, c.process.Stop(grace))
	}
	errs = append(errs, removeProfile(c.profile))
	return errors.Join(errs...)
}

// removeProfile deletes a profile. Killed child processes may still be writing to
// it.
func removeProfile(path string) error {
	var err error
	for range 10 {
		if err = os.RemoveAll(path); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("deleting the profile: %w", err)
}

func (c *chromium) SetPermission(ctx context.Context, origin string, state Permission) error {
	return c.remote.call(ctx, "", "Browser.setPermission", map[string]any{
		"origin":     origin,
		"permission": map[string]any{"name": "notifications"},
		"setting":    state.protocolState(),
	}, nil)
}

func (c *chromium) Open(ctx context.Context, url string) (Page, error) {
	return c.open(ctx, "", url)
}

func (c *chromium) OpenPrivate(ctx context.Context, url string) (Page, error) {
	var made struct{ BrowserContextID string }
	if err := c.remote.call(ctx, "", "Target.createBrowserContext", nil, &made); err != nil {
		return nil, err
	}
	return c.open(ctx, made.BrowserContextID, url)
}

// open opens a tab in a browser context; "" is the default context.
func (c *chromium) open(ctx context.Context, private, url string) (Page, error) {
	params := map[string]any{"url": "about:blank"}
	if private != "" {
		params["browserContextId"] = private
	}
	var created struct{ TargetID string }
	if err := c.remote.call(ctx, "", "Target.createTarget", params, &created); err != nil {
		return nil, err
	}
	page, err := c.attach(ctx, created.TargetID)
	if err != nil {
		return nil, err
	}
	page.private = private
	if err := page.Navigate(ctx, url); err != nil {
		return nil, errors.Join(err, page.Close(ctx))
	}
	return page, nil
}

// BlockStorage sends the message that the settings page itself sends, since the
// DevTools protocol has no command for it.
func (c *chromium) BlockStorage(ctx context.Context, origin string) error {
	settings, err := c.Open(ctx, "chrome://settings/content/siteData")
	if err != nil {
		return err
	}
	block := fmt.Sprintf(`chrome.send("setCategoryPermissionForPattern", [%q, "", "cookies", "block", false])`, origin)
	return errors.Join(settings.Eval(ctx, "void "+block, nil), settings.Close(ctx))
}

type target struct {
	TargetID string
	Type     string
	URL      string
}

func (c *chromium) targets(ctx context.Context) ([]target, error) {
	var all struct{ TargetInfos []target }
	filter := map[string]any{"filter": []any{map[string]any{"type": "page"}}}
	if err := c.remote.call(ctx, "", "Target.getTargets", filter, &all); err != nil {
		return nil, err
	}
	return all.TargetInfos, nil
}

func (c *chromium) Pages(ctx context.Context) ([]string, error) {
	targets, err := c.targets(ctx)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, t := range targets {
		urls = append(urls, t.URL)
	}
	return urls, nil
}

func (c *chromium) WaitPage(ctx context.Context, match func(url string) bool) (Page, error) {
	for {
		targets, err := c.targets(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			if !match(t.URL) {
				continue
			}
			page, err := c.attach(ctx, t.TargetID)
			if err != nil {
				return nil, err
			}
			return page, WaitFor(ctx, page, `document.readyState === "complete"`)
		}
		if err := pause(ctx, poll); err != nil {
			return nil, fmt.Errorf("waiting for a page, saw %v: %w", targets, err)
		}
	}
}
