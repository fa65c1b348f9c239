package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
)

// firefoxPage is a [Page]: a top-level browsing context.
type firefoxPage struct {
	browser *firefox
	context string
	stop    func() // ends listening

	mu      sync.Mutex
	console []ConsoleEntry
}

func (f *firefox) page(id string) *firefoxPage {
	p := &firefoxPage{browser: f, context: id}
	p.stop = f.remote.listen(p.event)
	return p
}

// event records console lines.
func (p *firefoxPage) event(m message) {
	if m.Method != "log.entryAdded" {
		return
	}
	var e struct {
		Level, Text string
		Source      struct{ Context string }
	}
	if json.Unmarshal(m.Params, &e) != nil || e.Source.Context != p.context {
		return
	}
	if e.Level == "warn" {
		e.Level = "warning"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.console = append(p.console, ConsoleEntry{Level: e.Level, Text: e.Text})
}

func (p *firefoxPage) Console() []ConsoleEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]ConsoleEntry(nil), p.console...)
}

// call adds the page's context to the parameters.
func (p *firefoxPage) call(ctx context.Context, method string, params map[string]any, result any) error {
	if params == nil {
		params = make(map[string]any)
	}
	params["context"] = p.context
	return p.browser.call(ctx, method, params, result)
}

func (p *firefoxPage) URL(ctx context.Context) (string, error) {
	var url string
	err := p.Eval(ctx, "location.href", &url)
	return url, err
}

func (p *firefoxPage) Navigate(ctx context.Context, url string) error {
	return p.call(ctx, "browsingContext.navigate", map[string]any{"url": url, "wait": "complete"}, nil)
}

func (p *firefoxPage) Reload(ctx context.Context) error {
	return p.call(ctx, "browsingContext.reload", map[string]any{"wait": "complete"}, nil)
}

func (p *firefoxPage) Eval(ctx context.Context, expression string, result any) error {
	return p.browser.eval(ctx, p.context, expression, result)
}

func (p *firefoxPage) Preload(ctx context.Context, script string) error {
	params := map[string]any{"functionDeclaration": "() => {" + script + "\n}", "contexts": []string{p.context}}
	return p.browser.call(ctx, "script.addPreloadScript", params, nil)
}

func (p *firefoxPage) Front(ctx context.Context) error {
	return p.call(ctx, "browsingContext.activate", nil, nil)
}

// LeaveTop moves the mouse in the browser's window, since WebDriver's mouse stays
// within the page.
func (p *firefoxPage) LeaveTop(ctx context.Context) error {
	if err := p.Front(ctx); err != nil {
		return err
	}
	return p.browser.inWindow(ctx, `(() => {
		const r = gBrowser.selectedBrowser.getBoundingClientRect();
		for (const y of [200, 100, 10, -10]) {
			synthesizeMouseEvent("mousemove", r.left + 200, r.top + y, {}, {isDOMEventSynthesized: false});
		}
	})()`)
}

func (p *firefoxPage) Click(ctx context.Context, selector string) error {
	if err := p.Front(ctx); err != nil {
		return err
	}
	at, err := locate(ctx, p, selector)
	if err != nil {
		return err
	}
	mouse := map[string]any{"type": "pointer", "id": "mouse", "actions": []any{
		// Some versions of BiDi take only whole pixels.
		map[string]any{"type": "pointerMove", "x": int(at.X), "y": int(at.Y)},
		map[string]any{"type": "pointerDown", "button": 0},
		map[string]any{"type": "pointerUp", "button": 0},
	}}
	if err := p.call(ctx, "input.performActions", map[string]any{"actions": []any{mouse}}, nil); err != nil {
		return fmt.Errorf("clicking on %s: %w", selector, err)
	}
	return nil
}

// firefoxKeys are keys in WebDriver's notation, modifiers first.
var firefoxKeys = map[Key][]string{
	Escape:   {"\uE00C"},
	Tab:      {"\uE004"},
	ShiftTab: {"\uE008", "\uE004"},
	Enter:    {"\uE007"},
	Space:    {" "},
}

func (p *firefoxPage) Press(ctx context.Context, key Key) error {
	keys, ok := firefoxKeys[key]
	if !ok {
		return fmt.Errorf("unknown key %q", key)
	}
	if err := p.Front(ctx); err != nil {
		return err
	}
	var down, up []any
	for _, k := range keys {
		down = append(down, map[string]any{"type": "keyDown", "value": k})
		up = append([]any{map[string]any{"type": "keyUp", "value": k}}, up...)
	}
	keyboard := map[string]any{"type": "key", "id": "keyboard", "actions": append(down, up...)}
	return p.call(ctx, "input.performActions", map[string]any{"actions": []any{keyboard}}, nil)
}

func (p *firefoxPage) Screenshot(ctx context.Context, path string, view Viewport) error {
	if err := p.Front(ctx); err != nil {
		return err
	}
	size := map[string]any{
		"viewport":         map[string]any{"width": view.Width, "height": view.Height},
		"devicePixelRatio": 1,
	}
	if err := p.call(ctx, "browsingContext.setViewport", size, nil); err != nil {
		return err
	}
	if err := p.browser.setScheme(ctx, scheme(view)); err != nil {
		return err
	}
	if err := waitPainted(ctx, p, view); err != nil {
		return err
	}
	var shot struct{ Data string }
	if err := p.call(ctx, "browsingContext.captureScreenshot", nil, &shot); err != nil {
		return err
	}
	return writePNG(path, shot.Data)
}

func (p *firefoxPage) Close(ctx context.Context) error {
	p.stop()
	return p.call(ctx, "browsingContext.close", nil, nil)
}
