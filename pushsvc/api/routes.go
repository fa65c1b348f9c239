package api

import (
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// Route is one request that the API answers.
type Route struct {
	// Name is the operation's unique name.
	Name, Method string
	// Path has the site and ids in braces.
	Path    string
	Summary string
	// Query and Header are the parameters besides those of the path.
	Query, Header []Parameter
	// Body is a zero value of the body's JSON type, or AnyOf; nil for no body.
	Body any
	// Media are the media types of a body that is not JSON.
	Media []string
	// Answers are the answers without a fault.
	Answers []Answer
}

// AnyOf has zero values of bodies: a request has one of them.
type AnyOf []any

// Parameter is a query parameter or a header. Kind is a type of JSON Schema.
type Parameter struct{ Name, Kind, Text string }

// Answer is an answer: a zero value of its JSON body, or the media types of another body; both nil
// for no body.
type Answer struct {
	Status int
	Body   any
	Media  []string
}

// Base is the beginning of all paths of the API.
const Base = "/webpush"

const (
	get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete

	site     = Base + "/sites/{site}"
	message  = site + "/messages/{id}"
	onePopup = site + "/popups/{id}"
)

func ok(body any) []Answer      { return []Answer{{Status: http.StatusOK, Body: body}} }
func created(body any) []Answer { return []Answer{{Status: http.StatusCreated, Body: body}} }
func nothing() []Answer         { return []Answer{{Status: http.StatusNoContent}} }

var (
	paged = []Parameter{
		{"limit", "integer", "How many to list, from 1 to 1000; 100 by default"},
		{"cursor", "string", "The member \"next\" of the previous page"},
	}
	dryRun  = Parameter{"dryRun", "boolean", "Changes nothing, and answers what would change"}
	ifMatch = []Parameter{{"If-Match", "string", "The ETag of an earlier answer: 412 if it has changed since"}}
)

// The media types of files that the API accepts. A file's bytes decide its type.
var (
	ImportMedia = []string{
		NDJSON, "application/ndjson", "application/jsonl", "application/json", CSV,
		"application/gzip", "application/x-gzip", "application/octet-stream",
	}
	ImageMedia = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "application/octet-stream"}
)

// Routes is the operator's API: its requests and answers, and their descriptions for its document.
// handlers() of package httpapi/operator has the handler of each, by Name.
var Routes = []Route{
	{Name: "health", Method: get, Path: Base + "/health", Summary: "Reports whether push works", Answers: ok(Health{})},
	{Name: "openapi", Method: get, Path: Base + "/openapi.json", Summary: "This document", Answers: []Answer{{http.StatusOK, nil, []string{"application/json"}}}},

	{Name: "listSites", Method: get, Path: Base + "/sites", Summary: "Lists the sites that are configured, and those that something is stored of", Answers: ok(SiteList{})},
	{Name: "showSite", Method: get, Path: site, Summary: "Shows a site", Answers: ok(Site{})},
	{
		Name: "removeSite", Method: del, Path: site, Summary: "Removes all that is kept of a site",
		Query: []Parameter{dryRun, {"force", "boolean", "Even if the configuration names the site, or messages of it are not sent yet"}}, Answers: ok(SiteRemoved{}),
	},
	{Name: "renameSite", Method: post, Path: site + "/rename", Summary: "Gives a site another name", Body: SiteMoveRequest{}, Answers: ok(SiteMoving{})},
	{Name: "mergeSite", Method: post, Path: site + "/merge", Summary: "Makes a site a part of another", Body: SiteMoveRequest{}, Answers: ok(SiteMoving{})},
	{Name: "failures", Method: get, Path: site + "/failures", Summary: "Counts why browsers could not be subscribed, since the start", Answers: ok(FailureCounts{})},

	{
		Name: "listSubscriptions", Method: get, Path: site + "/subscriptions", Query: paged,
		Summary: "Lists subscriptions without their secrets; exports them whole if Accept names NDJSON or CSV",
		Header:  []Parameter{{"Accept", "string", "application/x-ndjson or text/csv for an export"}},
		Answers: []Answer{{http.StatusOK, SubscriptionList{}, []string{NDJSON, CSV}}},
	},
	{
		Name: "importSubscriptions", Method: post, Path: site + "/subscriptions", Summary: "Imports subscriptions from a file", Media: ImportMedia,
		Query: []Parameter{
			{"format", "string", "auto, web-push, onesignal, firebase or csv; auto by default"},
			{"key", "string", "The VAPID key of rows that do not name one: an id, a public key, or \"current\""},
			dryRun,
		},
		Answers: ok(Imported{}),
	},
	{Name: "deleteSubscription", Method: del, Path: site + "/subscriptions/{id}", Summary: "Removes a subscription", Answers: nothing()},

	{
		Name: "send", Method: post, Path: Base + "/send", Summary: "Sends a message to the site that the body names", Body: SendRequest{},
		Header: []Parameter{idempotency}, Answers: sent,
	},
	{
		Name: "sendToSite", Method: post, Path: site + "/messages", Summary: "Sends a message", Body: SendRequest{},
		Header: []Parameter{idempotency}, Answers: sent,
	},
	{Name: "listMessages", Method: get, Path: site + "/messages", Summary: "Lists messages, the latest first", Query: paged, Answers: ok(MessageList{})},
	{Name: "showMessage", Method: get, Path: message, Summary: "Shows a message and its results", Answers: ok(Message{})},
	{Name: "pauseMessage", Method: post, Path: message + "/pause", Summary: "Pauses a message", Answers: ok(Message{})},
	{Name: "resumeMessage", Method: post, Path: message + "/resume", Summary: "Resumes a message that is paused or held", Answers: ok(Message{})},
	{Name: "cancelMessage", Method: post, Path: message + "/cancel", Summary: "Ends a message for good", Answers: ok(Message{})},

	{Name: "listProfiles", Method: get, Path: site + "/profiles", Summary: "Lists the people that a site knows", Query: paged, Answers: ok(ProfileList{})},
	{Name: "searchProfiles", Method: post, Path: site + "/profiles/search", Summary: "Finds the profiles that have an identity, or whose id begins or ends with the text", Body: IdentityRequest{}, Answers: ok(ProfileList{})},
	{Name: "eraseIdentity", Method: post, Path: site + "/profiles/erase", Summary: "Erases all profiles that have an identity or claim it", Body: IdentityRequest{}, Answers: ok(Erased{})},
	{Name: "purgeProfiles", Method: post, Path: site + "/profiles/purge", Summary: "Erases the profiles that an expression matches, among the next 10,000", Body: PurgeRequest{}, Answers: ok(Purged{})},
	{Name: "exportProfile", Method: get, Path: site + "/profiles/{id}", Summary: "Exports all that is kept of a person", Answers: ok(ProfileExport{})},
	{Name: "eraseProfile", Method: del, Path: site + "/profiles/{id}", Summary: "Erases a person", Answers: nothing()},
	{Name: "listEvents", Method: get, Path: site + "/events", Summary: "Counts the events of a site", Answers: ok(EventList{})},

	{Name: "listPrompts", Method: get, Path: Base + "/prompts", Summary: "Lists what is set of all sites' prompts", Answers: ok(PromptList{})},
	{Name: "showPrompt", Method: get, Path: site + "/prompt", Summary: "Shows a site's prompt, and the source of each setting", Answers: ok(Prompt{})},
	{Name: "setPrompt", Method: put, Path: site + "/prompt", Summary: "Replaces all that is set of a site's prompt", Header: ifMatch, Body: prompt.Settings{}, Answers: ok(Prompt{})},
	{Name: "resetPrompt", Method: del, Path: site + "/prompt", Summary: "Resets a site's prompt to the configuration", Header: ifMatch, Answers: nothing()},

	{Name: "listPopups", Method: get, Path: site + "/popups", Summary: "Lists pop-ups", Answers: ok(PopupList{})},
	{Name: "createPopup", Method: post, Path: site + "/popups", Summary: "Stores a new pop-up", Body: popup.Popup{}, Answers: created(StoredPopup{})},
	{Name: "showPopup", Method: get, Path: onePopup, Summary: "Shows a pop-up, as it can be put back", Answers: ok(popup.Popup{})},
	{
		Name: "putPopup", Method: put, Path: onePopup, Summary: "Stores a pop-up", Body: popup.Popup{},
		Header:  append(ifMatch, Parameter{"If-None-Match", "string", "* for a pop-up that must be new"}),
		Answers: append(ok(StoredPopup{}), created(StoredPopup{})...),
	},
	{Name: "deletePopup", Method: del, Path: onePopup, Summary: "Deletes a pop-up", Header: ifMatch, Answers: nothing()},
	{Name: "setPopupState", Method: post, Path: onePopup + "/state", Summary: "Runs or pauses a pop-up", Body: PopupStateRequest{}, Answers: ok(StoredPopup{})},
	{
		Name: "popupStats", Method: get, Path: onePopup + "/stats", Summary: "Counts views, clicks and conversions of a pop-up", Answers: ok(PopupStats{}),
		Query: []Parameter{{"from", "string", "RFC 3339: counts from this time on"}, {"to", "string", "RFC 3339: counts until before this time"}},
	},
	{Name: "previewPopup", Method: post, Path: onePopup + "/preview", Summary: "Makes an address that shows a pop-up", Body: PreviewRequest{}, Answers: created(Preview{})},
	{Name: "showPopupSettings", Method: get, Path: site + "/popup-settings", Summary: "Shows the settings of all pop-ups", Answers: ok(popup.Settings{})},
	{Name: "setPopupSettings", Method: put, Path: site + "/popup-settings", Summary: "Changes the settings of all pop-ups; missing members get the default", Header: ifMatch, Body: popup.Settings{}, Answers: ok(popup.Settings{})},
	{Name: "listUploads", Method: get, Path: site + "/uploads", Summary: "Lists images", Answers: ok(UploadList{})},
	{Name: "upload", Method: post, Path: site + "/uploads", Summary: "Uploads an image", Media: ImageMedia, Answers: created(Upload{})},
	{Name: "deleteUpload", Method: del, Path: site + "/uploads/{name}", Summary: "Deletes an image", Answers: nothing()},

	{
		Name: "listKeys", Method: get, Path: Base + "/keys", Summary: "Lists the VAPID keys", Answers: ok(KeyList{}),
		Query: []Parameter{{"count", "boolean", "Counts the subscriptions of each key, which reads them all"}},
	},
	{Name: "importKey", Method: post, Path: Base + "/keys", Summary: "Brings a key pair into the ring", Body: ImportKeyRequest{}, Answers: created(Key{})},
	{Name: "rotateKey", Method: post, Path: Base + "/keys/rotate", Summary: "Makes a new key, the current one from then on", Answers: created(Key{})},
	{Name: "backup", Method: get, Path: Base + "/backup", Summary: "Copies the store", Answers: []Answer{{http.StatusOK, nil, []string{"application/octet-stream"}}}},
	{Name: "compact", Method: post, Path: Base + "/compact", Summary: "Makes the store's file as small as it can be", Answers: ok(Compacted{})},
}

var (
	idempotency = Parameter{"Idempotency-Key", "string", "Makes repeats of the same request harmless for 30 days"}
	sent        = []Answer{{Status: http.StatusAccepted, Body: Message{}}, {Status: http.StatusOK, Body: Message{}}}
)
