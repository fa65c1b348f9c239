package browser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// chromiumPage is a [Page]: a target with its own session.
type chromiumPage struct {
	browser *chromium
	target  string
	session string
	private string // browser context to dispose of with the page, if any
	stop    func() // ends listening

	mu      sync.Mutex
	loaded  map[string]bool // ids of loaders whose load event has fired
	changed chan struct{}   // closed and replaced when loaded grows
	console []ConsoleEntry
}

func (c *chromium) attach(ctx context.Context, targetID string) (*chromiumPage, error) {
	var attached struct{ SessionID string }
	params := map[string]any{"targetId": targetID, "flatten": true}
	if err := c.remote.call(ctx, "", "Target.attachToTarget", params, &attached); err != nil {
		return nil, err
	}
	p := &chromiumPage{
		browser: c, target: targetID, session: attached.SessionID,
		loaded: make(map[string]bool), changed: make(chan struct{}),
	}
	p.stop = c.remote.listen(p.event)
	for _, step := range []struct {
		method string
		params any
	}{
		{"Page.enable", nil},
		{"Page.setLifecycleEventsEnabled", map[string]any{"enabled": true}},
		{"Runtime.enable", nil},
		{"Log.enable", nil},
	} {
		if err := p.call(ctx, step.method, step.params, nil); err != nil {
			p.stop()
			return nil, err
		}
	}
	return p, nil
}

func (p *chromiumPage) call(ctx context.Context, method string, params, result any) error {
	return p.browser.remote.call(ctx, p.session, method, params, result)
}

// event records load events and console lines.
func (p *chromiumPage) event(m message) {
	if m.SessionID != p.session {
		return
	}
	switch m.Method {
	case "Page.lifecycleEvent":
		var e struct{ FrameID, LoaderID, Name string }
		// A page's main frame has the target's id.
		if json.Unmarshal(m.Params, &e) == nil && e.Name == "load" && e.FrameID == p.target {
			p.mu.Lock()
			p.loaded[e.LoaderID] = true
			close(p.changed)
			p.changed = make(chan struct{})
			p.mu.Unlock()
		}
	case "Runtime.consoleAPICalled":
		var e struct {
			Type string
			Args []struct {
				Value       any
				Description string
			}
		}
		if json.Unmarshal(m.Params, &e) != nil {
			return
		}
		var parts []string
		for _, arg := range e.Args {
			if arg.Description != "" {
				parts = append(parts, arg.Description)
			} else {
				parts = append(parts, fmt.Sprint(arg.Value))
			}
		}
		p.log(e.Type, strings.Join(parts, " "))
	case "Runtime.exceptionThrown":
		var e struct {
			ExceptionDetails struct {
				Text      string
				Exception struct{ Description string }
			}
		}
		if json.Unmarshal(m.Params, &e) == nil {
			p.log("error", e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
		}
	case "Log.entryAdded":
		var e struct {
			Entry struct{ Level, Text, URL string }
		}
		if json.Unmarshal(m.Params, &e) == nil {
			p.log(e.Entry.Level, strings.TrimSpace(e.Entry.Text+" "+e.Entry.URL))
		}
	}
}

func (p *chromiumPage) log(level, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.console = append(p.console, ConsoleEntry{Level: level, Text: text})
}

func (p *chromiumPage) Console() []ConsoleEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]ConsoleEntry(nil), p.console...)
}

func (p *chromiumPage) URL(ctx context.Context) (string, error) {
	var url string
	err := p.Eval(ctx, "location.href", &url)
	return url, err
}

func (p *chromiumPage) Navigate(ctx context.Context, url string) error {
	var started struct{ LoaderID, ErrorText string }
	if err := p.call(ctx, "Page.navigate", map[string]any{"url": url}, &started); err != nil {
		return err
	}
	if started.ErrorText != "" {
		return fmt.Errorf("opening %s: %s", url, started.ErrorText)
	}
	if started.LoaderID == "" {
		return nil // only the fragment has changed
	}
	return p.waitLoad(ctx, func(loaded map[string]bool) bool { return loaded[started.LoaderID] })
}

// waitLoad waits until the load events seen so far satisfy enough.
func (p *chromiumPage) waitLoad(ctx context.Context, enough func(map[string]bool) bool) error {
	for {
		p.mu.Lock()
		done, changed := enough(p.loaded), p.changed
		p.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the load event: %w", ctx.Err())
		}
	}
}

func (p *chromiumPage) Reload(ctx context.Context) error {
	p.mu.Lock()
	before := len(p.loaded)
	p.mu.Unlock()
	if err := p.call(ctx, "Page.reload", nil, nil); err != nil {
		return err
	}
	return p.waitLoad(ctx, func(loaded map[string]bool) bool { return len(loaded) > before })
}

func (p *chromiumPage) Eval(ctx context.Context, expression string, result any) error {
	var answer struct {
		Result           struct{ Value string }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	params := map[string]any{"expression": script(expression), "awaitPromise": true, "returnByValue": true}
	if err := p.call(ctx, "Runtime.evaluate", params, &answer); err != nil {
		return err
	}
	if e := answer.ExceptionDetails; e != nil { // a syntax error
		return fmt.Errorf("evaluating: %s %s", e.Text, e.Exception.Description)
	}
	return decodeScript(answer.Result.Value, result)
}

func (p *chromiumPage) Preload(ctx context.Context, script string) error {
	return p.call(ctx, "Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": script}, nil)
}

func (p *chromiumPage) Front(ctx context.Context) error {
	return p.call(ctx, "Page.bringToFront", nil, nil)
}

func (p *chromiumPage) LeaveTop(ctx context.Context) error {
	if err := p.Front(ctx); err != nil {
		return err
	}
	for _, y := range []int{200, 100, 10, -1} {
		params := map[string]any{"type": "mouseMoved", "x": 200, "y": y}
		if err := p.call(ctx, "Input.dispatchMouseEvent", params, nil); err != nil {
			return fmt.Errorf("moving the mouse: %w", err)
		}
	}
	return nil
}

func (p *chromiumPage) Click(ctx context.Context, selector string) error {
	if err := p.Front(ctx); err != nil {
		return err
	}
	at, err := locate(ctx, p, selector)
	if err != nil {
		return err
	}
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		params := map[string]any{"type": kind, "x": at.X, "y": at.Y}
		if kind != "mouseMoved" {
			params["button"], params["clickCount"] = "left", 1
		}
		if err := p.call(ctx, "Input.dispatchMouseEvent", params, nil); err != nil {
			return fmt.Errorf("clicking on %s: %w", selector, err)
		}
	}
	return nil
}

// chromiumKeys are the parameters of Input.dispatchKeyEvent.
var chromiumKeys = map[Key]struct {
	key, code, text string
	number          int
	modifiers       int // 8 is Shift
}{
	Escape:   {"Escape", "Escape", "", 27, 0},
	Tab:      {"Tab", "Tab", "", 9, 0},
	ShiftTab: {"Tab", "Tab", "", 9, 8},
	Enter:    {"Enter", "Enter", "\r", 13, 0},
	Space:    {" ", "Space", " ", 32, 0},
}

func (p *chromiumPage) Press(ctx context.Context, key Key) error {
	k, ok := chromiumKeys[key]
	if !ok {
		return fmt.Errorf("unknown key %q", key)
	}
	if err := p.Front(ctx); err != nil {
		return err
	}
	params := map[string]any{
		"type": "keyDown", "key": k.key, "code": k.code,
		"windowsVirtualKeyCode": k.number, "modifiers": k.modifiers,
	}
	if k.text != "" {
		params["text"] = k.text
	}
	if err := p.call(ctx, "Input.dispatchKeyEvent", params, nil); err != nil {
		return err
	}
	delete(params, "text")
	params["type"] = "keyUp"
	return p.call(ctx, "Input.dispatchKeyEvent", params, nil)
}

func (p *chromiumPage) Screenshot(ctx context.Context, path string, view Viewport) error {
	if err := p.Front(ctx); err != nil {
		return err
	}
	size := map[string]any{"width": view.Width, "height": view.Height, "deviceScaleFactor": 1, "mobile": false}
	if err := p.call(ctx, "Emulation.setDeviceMetricsOverride", size, nil); err != nil {
		return err
	}
	media := map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme(view)}}}
	if err := p.call(ctx, "Emulation.setEmulatedMedia", media, nil); err != nil {
		return err
	}
	if err := waitPainted(ctx, p, view); err != nil {
		return err
	}
	var shot struct{ Data string }
	if err := p.call(ctx, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot); err != nil {
		return err
	}
	return writePNG(path, shot.Data)
}

func scheme(view Viewport) string {
	if view.Dark {
		return "dark"
	}
	return "light"
}

// waitPainted waits until the page has taken on the viewport and has been painted.
func waitPainted(ctx context.Context, page Page, view Viewport) error {
	taken := fmt.Sprintf(`innerWidth === %d && innerHeight === %d && matchMedia("(prefers-color-scheme: %s)").matches`,
		view.Width, view.Height, scheme(view))
	if err := WaitFor(ctx, page, taken); err != nil {
		return err
	}
	return page.Eval(ctx, `new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r())))`, nil)
}

func writePNG(path, data string) error {
	png, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return fmt.Errorf("decoding the screenshot: %w", err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		return fmt.Errorf("writing the screenshot: %w", err)
	}
	return nil
}

func (p *chromiumPage) Close(ctx context.Context) error {
	p.stop()
	if p.private != "" {
		return p.browser.remote.call(ctx, "", "Target.disposeBrowserContext", map[string]any{"browserContextId": p.private}, nil)
	}
	var closed struct{ Success bool }
	if err := p.call(ctx, "Target.closeTarget", map[string]any{"targetId": p.target}, &closed); err != nil {
		return err
	}
	if !closed.Success {
		return errors.New("the tab was not closed")
	}
	return nil
}
