package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// point is a place in the viewport, in CSS pixels.
type point struct{ X, Y float64 }

// locateScript finds an element through open shadow roots and returns where to
// click, or why it can't be clicked yet. Its place must be the same in two
// animation frames.
const locateScript = `(async (selector) => {
	const search = (root) => {
		const hit = root.querySelector(selector);
		if (hit) return hit;
		for (const e of root.querySelectorAll("*")) {
			const inner = e.shadowRoot && search(e.shadowRoot);
			if (inner) return inner;
		}
		return null;
	};
	const element = search(document);
	if (!element) return {why: "not in the page"};
	if (element.disabled) return {why: "disabled"};
	element.scrollIntoView({block: "nearest", inline: "nearest", behavior: "instant"});
	const frame = () => new Promise((r) => requestAnimationFrame(r));
	const before = element.getBoundingClientRect();
	await frame();
	await frame();
	const box = element.getBoundingClientRect();
	if (!box.width || !box.height) return {why: "not displayed"};
	if (Math.abs(box.x - before.x) + Math.abs(box.y - before.y) > 0.5) return {why: "moving"};
	const x = box.x + box.width / 2, y = box.y + box.height / 2;
	let top = document.elementFromPoint(x, y);
	while (top && top !== element && top.shadowRoot) {
		const inner = top.shadowRoot.elementFromPoint(x, y);
		if (!inner || inner === top) break;
		top = inner;
	}
	for (let e = top; e !== element; e = e.parentNode || e.host) {
		if (!e) return {why: "covered by " + (top ? top.tagName : "nothing, outside of the viewport")};
	}
	return {x, y};
})(%s)`

// locate waits until the element that matches selector can be clicked.
func locate(ctx context.Context, page Page, selector string) (point, error) {
	quoted, err := json.Marshal(selector)
	if err != nil {
		return point{}, fmt.Errorf("quoting the selector: %w", err)
	}
	expression := fmt.Sprintf(locateScript, quoted)
	why := "the page did not answer"
	for {
		var found struct {
			point
			Why string
		}
		if err := page.Eval(ctx, expression, &found); err != nil {
			if ctx.Err() != nil {
				return point{}, fmt.Errorf("waiting for %s, which is %s: %w", selector, why, ctx.Err())
			}
			return point{}, fmt.Errorf("looking for %s: %w", selector, err)
		}
		if found.Why == "" {
			return found.point, nil
		}
		why = found.Why
		if err := pause(ctx, poll); err != nil {
			return point{}, fmt.Errorf("waiting for %s, which is %s: %w", selector, why, err)
		}
	}
}

// WaitFor polls a JavaScript expression until it is truthy. It returns an
// evaluation error only when ctx ends, since a page that is loading causes some.
func WaitFor(ctx context.Context, page Page, expression string) error {
	var last error
	for {
		var ok bool
		err := page.Eval(ctx, "Promise.resolve("+expression+").then((v) => !!v)", &ok)
		if ok {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("waiting for %s: %w", expression, errors.Join(err, last))
		}
	}
}
