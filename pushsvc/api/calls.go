package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// Health reports whether push works; a *Problem says why not.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return answer[Health](ctx, c, call{route: "health"})
}

// Openapi returns the document of the API.
func (c *Client) Openapi(ctx context.Context) (json.RawMessage, error) {
	return answer[json.RawMessage](ctx, c, call{route: "openapi"})
}

// ListSites lists the sites that are configured or have stored data.
func (c *Client) ListSites(ctx context.Context) (SiteList, error) {
	return answer[SiteList](ctx, c, call{route: "listSites"})
}

// ShowSite shows a site.
func (c *Client) ShowSite(ctx context.Context, site string) (Site, error) {
	return answer[Site](ctx, c, call{route: "showSite", path: []string{site}})
}

// RemoveSite removes everything that is stored of a site. With force it does so even if the
// configuration names the site, or messages of it are not sent yet.
func (c *Client) RemoveSite(ctx context.Context, site string, dryRun, force bool) (SiteRemoved, error) {
	return answer[SiteRemoved](ctx, c, call{
		route: "removeSite", path: []string{site}, query: flag(flag(nil, "dryRun", dryRun), "force", force),
	})
}

// RenameSite changes a site's name.
func (c *Client) RenameSite(ctx context.Context, site string, in SiteMoveRequest) (SiteMoving, error) {
	return answer[SiteMoving](ctx, c, call{route: "renameSite", path: []string{site}, body: document(in)})
}

// MergeSite makes a site a part of another.
func (c *Client) MergeSite(ctx context.Context, site string, in SiteMoveRequest) (SiteMoving, error) {
	return answer[SiteMoving](ctx, c, call{route: "mergeSite", path: []string{site}, body: document(in)})
}

// Failures counts why browsers could not be subscribed.
func (c *Client) Failures(ctx context.Context, site string) (FailureCounts, error) {
	return answer[FailureCounts](ctx, c, call{route: "failures", path: []string{site}})
}

// ListSubscriptions lists subscriptions without their secrets.
func (c *Client) ListSubscriptions(ctx context.Context, site string, page Page) (SubscriptionList, error) {
	return answer[SubscriptionList](ctx, c, call{route: "listSubscriptions", path: []string{site}, query: page.query()})
}

// The media types of exports.
const (
	NDJSON = "application/x-ndjson"
	CSV    = "text/csv"
)

// ExportSubscriptions exports a site's subscriptions, including secrets, as NDJSON or CSV. The
// caller closes the stream; one that ends in an error is incomplete.
func (c *Client) ExportSubscriptions(ctx context.Context, site, media string) (io.ReadCloser, error) {
	resp, err := c.open(ctx, call{route: "listSubscriptions", path: []string{site}, header: http.Header{"Accept": {media}}})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// ImportOptions is how to read a file of subscriptions.
type ImportOptions struct {
	// Format is the file's format; if empty, it is detected.
	Format string
	// Key is the VAPID key of rows that name none: an id, a public key, or "current".
	Key    string
	DryRun bool
}

// ImportSubscriptions imports a file of subscriptions, which may be packed with gzip.
func (c *Client) ImportSubscriptions(ctx context.Context, site string, o ImportOptions, file io.Reader) (Imported, error) {
	query := flag(url.Values{}, "dryRun", o.DryRun)
	for name, value := range map[string]string{"format": o.Format, "key": o.Key} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return answer[Imported](ctx, c, call{
		route: "importSubscriptions", path: []string{site}, query: query, media: "application/octet-stream", body: file,
	})
}

// DeleteSubscription removes a subscription.
func (c *Client) DeleteSubscription(ctx context.Context, site, id string) error {
	return discard(answer[nothingIn](ctx, c, call{route: "deleteSubscription", path: []string{site, id}}))
}

// Send sends a message to the site that it names. A repetition with the same key, which may be
// empty, sends nothing more.
func (c *Client) Send(ctx context.Context, idempotencyKey string, in SendRequest) (Message, error) {
	return answer[Message](ctx, c, call{route: "send", header: keyed(idempotencyKey), body: document(in)})
}

// SendToSite is Send with the site in the path.
func (c *Client) SendToSite(ctx context.Context, site, idempotencyKey string, in SendRequest) (Message, error) {
	return answer[Message](ctx, c, call{route: "sendToSite", path: []string{site}, header: keyed(idempotencyKey), body: document(in)})
}

func keyed(key string) http.Header {
	if key == "" {
		return nil
	}
	return http.Header{"Idempotency-Key": {key}}
}

// ListMessages lists a site's messages, the latest first.
func (c *Client) ListMessages(ctx context.Context, site string, page Page) (MessageList, error) {
	return answer[MessageList](ctx, c, call{route: "listMessages", path: []string{site}, query: page.query()})
}

// ShowMessage shows a message and its results.
func (c *Client) ShowMessage(ctx context.Context, site, id string) (Message, error) {
	return answer[Message](ctx, c, call{route: "showMessage", path: []string{site, id}})
}

// PauseMessage pauses a message.
func (c *Client) PauseMessage(ctx context.Context, site, id string) (Message, error) {
	return answer[Message](ctx, c, call{route: "pauseMessage", path: []string{site, id}})
}

// ResumeMessage continues a message that is paused or held.
func (c *Client) ResumeMessage(ctx context.Context, site, id string) (Message, error) {
	return answer[Message](ctx, c, call{route: "resumeMessage", path: []string{site, id}})
}

// CancelMessage ends a message for good.
func (c *Client) CancelMessage(ctx context.Context, site, id string) (Message, error) {
	return answer[Message](ctx, c, call{route: "cancelMessage", path: []string{site, id}})
}

// ListProfiles lists a site's profiles.
func (c *Client) ListProfiles(ctx context.Context, site string, page Page) (ProfileList, error) {
	return answer[ProfileList](ctx, c, call{route: "listProfiles", path: []string{site}, query: page.query()})
}

// SearchProfiles finds the profile with an identity, or the profiles whose ids begin or end with
// the text.
func (c *Client) SearchProfiles(ctx context.Context, site string, in IdentityRequest) (ProfileList, error) {
	return answer[ProfileList](ctx, c, call{route: "searchProfiles", path: []string{site}, body: document(in)})
}

// EraseIdentity erases all profiles that have or claim an identity.
func (c *Client) EraseIdentity(ctx context.Context, site string, in IdentityRequest) (Erased, error) {
	return answer[Erased](ctx, c, call{route: "eraseIdentity", path: []string{site}, body: document(in)})
}

// PurgeProfiles erases the profiles that an expression selects among the next ones.
func (c *Client) PurgeProfiles(ctx context.Context, site string, in PurgeRequest) (Purged, error) {
	return answer[Purged](ctx, c, call{route: "purgeProfiles", path: []string{site}, body: document(in)})
}

// ExportProfile exports everything that is stored about a person.
func (c *Client) ExportProfile(ctx context.Context, site, id string) (ProfileExport, error) {
	return answer[ProfileExport](ctx, c, call{route: "exportProfile", path: []string{site, id}})
}

// EraseProfile erases a person.
func (c *Client) EraseProfile(ctx context.Context, site, id string) error {
	return discard(answer[nothingIn](ctx, c, call{route: "eraseProfile", path: []string{site, id}}))
}

// ListEvents counts the events of a site.
func (c *Client) ListEvents(ctx context.Context, site string) (EventList, error) {
	return answer[EventList](ctx, c, call{route: "listEvents", path: []string{site}})
}

// ListPrompts lists the stored settings of all sites' prompts.
func (c *Client) ListPrompts(ctx context.Context) (PromptList, error) {
	return answer[PromptList](ctx, c, call{route: "listPrompts"})
}

// ShowPrompt shows a site's prompt.
func (c *Client) ShowPrompt(ctx context.Context, site string) (Prompt, error) {
	return answer[Prompt](ctx, c, call{route: "showPrompt", path: []string{site}})
}

// SetPrompt replaces all stored settings of a site's prompt, if its revision is the expected one.
func (c *Client) SetPrompt(ctx context.Context, site string, settings prompt.Settings, expect pushsvc.Revision) (Prompt, error) {
	return answer[Prompt](ctx, c, call{route: "setPrompt", path: []string{site}, header: expecting(expect), body: document(settings)})
}

// SetPromptJSON is SetPrompt for JSON that a person wrote: the server reports the faults of
// it.
func (c *Client) SetPromptJSON(ctx context.Context, site string, settings json.RawMessage, expect pushsvc.Revision) (Prompt, error) {
	return answer[Prompt](ctx, c, call{route: "setPrompt", path: []string{site}, header: expecting(expect), body: document(settings)})
}

// ResetPrompt removes the stored settings of a site's prompt.
func (c *Client) ResetPrompt(ctx context.Context, site string, expect pushsvc.Revision) error {
	return discard(answer[nothingIn](ctx, c, call{route: "resetPrompt", path: []string{site}, header: expecting(expect)}))
}

// ListPopups lists a site's pop-ups.
func (c *Client) ListPopups(ctx context.Context, site string) (PopupList, error) {
	return answer[PopupList](ctx, c, call{route: "listPopups", path: []string{site}})
}

// CreatePopup stores a new pop-up.
func (c *Client) CreatePopup(ctx context.Context, site string, p popup.Popup) (StoredPopup, error) {
	return answer[StoredPopup](ctx, c, call{route: "createPopup", path: []string{site}, body: document(p)})
}

// ShowPopup shows a pop-up in the form that PutPopup takes.
func (c *Client) ShowPopup(ctx context.Context, site, id string) (popup.Popup, error) {
	return answer[popup.Popup](ctx, c, call{route: "showPopup", path: []string{site, id}})
}

// PutPopup stores a pop-up, if the revision of the one that it replaces is the expected one.
func (c *Client) PutPopup(ctx context.Context, site, id string, p popup.Popup, expect pushsvc.Revision) (StoredPopup, error) {
	return answer[StoredPopup](ctx, c, call{route: "putPopup", path: []string{site, id}, header: expecting(expect), body: document(p)})
}

// PutPopupJSON is PutPopup for JSON that a person wrote: the server reports its faults.
func (c *Client) PutPopupJSON(ctx context.Context, site, id string, p json.RawMessage, expect pushsvc.Revision) (StoredPopup, error) {
	return answer[StoredPopup](ctx, c, call{route: "putPopup", path: []string{site, id}, header: expecting(expect), body: document(p)})
}

// DeletePopup deletes a pop-up.
func (c *Client) DeletePopup(ctx context.Context, site, id string, expect pushsvc.Revision) error {
	return discard(answer[nothingIn](ctx, c, call{route: "deletePopup", path: []string{site, id}, header: expecting(expect)}))
}

// SetPopupState runs or pauses a pop-up.
func (c *Client) SetPopupState(ctx context.Context, site, id string, in PopupStateRequest) (StoredPopup, error) {
	return answer[StoredPopup](ctx, c, call{route: "setPopupState", path: []string{site, id}, body: document(in)})
}

// PopupStats counts what visitors did with a pop-up between two times; a zero time is no bound.
func (c *Client) PopupStats(ctx context.Context, site, id string, from, to time.Time) (PopupStats, error) {
	query := url.Values{}
	for name, at := range map[string]time.Time{"from": from, "to": to} {
		if !at.IsZero() {
			query.Set(name, at.Format(time.RFC3339))
		}
	}
	return answer[PopupStats](ctx, c, call{route: "popupStats", path: []string{site, id}, query: query})
}

// PreviewPopup makes an address that shows a pop-up.
func (c *Client) PreviewPopup(ctx context.Context, site, id string, in PreviewRequest) (Preview, error) {
	return answer[Preview](ctx, c, call{route: "previewPopup", path: []string{site, id}, body: document(in)})
}

// ShowPopupSettings shows the settings for all pop-ups of a site.
func (c *Client) ShowPopupSettings(ctx context.Context, site string) (popup.Settings, error) {
	return answer[popup.Settings](ctx, c, call{route: "showPopupSettings", path: []string{site}})
}

// SetPopupSettings sets the settings for all pop-ups of a site.
func (c *Client) SetPopupSettings(ctx context.Context, site string, in popup.Settings, expect pushsvc.Revision) (popup.Settings, error) {
	return answer[popup.Settings](ctx, c, call{route: "setPopupSettings", path: []string{site}, header: expecting(expect), body: document(in)})
}

// ListUploads lists a site's images.
func (c *Client) ListUploads(ctx context.Context, site string) (UploadList, error) {
	return answer[UploadList](ctx, c, call{route: "listUploads", path: []string{site}})
}

// Upload uploads an image.
func (c *Client) Upload(ctx context.Context, site string, image io.Reader) (Upload, error) {
	return answer[Upload](ctx, c, call{route: "upload", path: []string{site}, media: "application/octet-stream", body: image})
}

// DeleteUpload deletes an image.
func (c *Client) DeleteUpload(ctx context.Context, site, name string) error {
	return discard(answer[nothingIn](ctx, c, call{route: "deleteUpload", path: []string{site, name}}))
}

// ListKeys lists the VAPID keys, the current one first. With count it counts the
// subscriptions of each.
func (c *Client) ListKeys(ctx context.Context, count bool) (KeyList, error) {
	return answer[KeyList](ctx, c, call{route: "listKeys", query: flag(nil, "count", count)})
}

// ImportKey adds a key pair to the ring.
func (c *Client) ImportKey(ctx context.Context, in ImportKeyRequest) (Key, error) {
	return answer[Key](ctx, c, call{route: "importKey", body: document(in)})
}

// RotateKey makes a new key, which becomes the current one.
func (c *Client) RotateKey(ctx context.Context) (Key, error) {
	return answer[Key](ctx, c, call{route: "rotateKey"})
}

// Backup copies the store. The caller closes the stream; one that ends in an error is incomplete.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	resp, err := c.open(ctx, call{route: "backup"})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Compact makes the store's file as small as possible.
func (c *Client) Compact(ctx context.Context) (Compacted, error) {
	return answer[Compacted](ctx, c, call{route: "compact"})
}
