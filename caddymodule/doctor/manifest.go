package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// manifest: iOS and iPadOS let a site push only when it is on the home screen.
func (d *doctor) manifest(ctx context.Context) {
	if d.tags.manifest == "" {
		d.say("manifest", Warning, "", "the page has no manifest link; iOS and iPadOS will not offer push")
		return
	}
	address := d.resolve(d.tags.manifest)
	resp, text, err := d.get(ctx, address, map[string]string{"Sec-Fetch-Dest": "manifest", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Accept": "*/*"})
	if err != nil || resp.StatusCode != http.StatusOK {
		status := fmt.Sprint(err)
		if err == nil {
			status = resp.Status
		}
		cure := fmt.Sprintf("browsers fetch the manifest without cookies: let requests for %s through without a login", address)
		if err == nil && resp.StatusCode == http.StatusNotFound {
			cure = throughTo(address, "manifest")
		}
		d.say("manifest", Warning, cure, "%s answers %s", address, status)
		return
	}
	var m struct {
		Display string
		Icons   []manifestIcon
		// Only our own manifest has it: see httpapi.SiteConfig.
		SenderID string `json:"gcm_sender_id"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		d.say("manifest", Warning, "correct the manifest's JSON", "%s is not JSON: %v", address, err)
		return
	}
	switch {
	case m.Display != "standalone" && m.Display != "fullscreen":
		d.say("manifest", Warning, `set "display" to "standalone" in the site's manifest`, "the manifest's display is %q; iOS and iPadOS want standalone or fullscreen for push", m.Display)
	case len(m.Icons) == 0:
		d.say("manifest", Warning, "set one with the option icon", "the manifest has no icon; home screens will show a letter or a picture of the page")
	default:
		d.say("manifest", OK, "", "the manifest is complete: %s", address)
	}
	d.kept("manifest", address, resp.Header)
	d.icons(ctx, address, m.Icons, m.SenderID == "")
}
