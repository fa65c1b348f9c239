package httpapi

import (
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// Routes are the requests of browsers that a site's own origin answers, for the document of the API
// only: publicActions has the handlers of posts, and caddymodule decides the rest. The paths are those
// of a site that sets no other prefix, worker or manifest.
var Routes = []api.Route{
	{
		Name: "subscribe", Method: http.MethodPost, Path: DefaultPrefix + "/subscribe", Summary: "Stores the browser's subscription",
		Body: service.SubscribeRequest{}, Answers: []api.Answer{{Status: http.StatusCreated, Body: SubscribeAnswer{}}},
	},
	{
		Name: "unsubscribe", Method: http.MethodPost, Path: DefaultPrefix + "/unsubscribe", Summary: "Removes the browser's subscription",
		Body: service.ProofJSON{}, Answers: []api.Answer{{Status: http.StatusNoContent}},
	},
	{
		Name: "reportEvents", Method: http.MethodPost, Path: DefaultPrefix + "/events", Media: beacon,
		Summary: "Records reports of a page on its visitor, of a worker on its notifications, or on a failed subscription",
		Body:    api.AnyOf{service.RecordRequest{}, FailureReport{}}, Answers: []api.Answer{{Status: http.StatusNoContent}},
	},
	{
		Name: "askForPopups", Method: http.MethodPost, Path: DefaultPrefix + "/messages", Summary: "Lists the pop-ups that the visitor may see on a page",
		Body: service.PopupsRequest{}, Media: beacon, Answers: []api.Answer{{Status: http.StatusOK, Body: service.PopupsAnswer{}}},
	},
	{Name: "sdk", Method: http.MethodGet, Path: DefaultPrefix + "/sdk.js", Summary: "The script of the site's pages", Answers: file("text/javascript")},
	{
		Name: "module", Method: http.MethodGet, Path: DefaultPrefix + "/{module}", Summary: "A module that the script loads when it needs it",
		Query: []api.Parameter{version}, Answers: file("text/javascript"),
	},
	{Name: "worker", Method: http.MethodGet, Path: "/sw.js", Summary: "The service worker, after the site's own at that path", Answers: file("text/javascript")},
	{
		Name: "workerPart", Method: http.MethodGet, Path: DefaultPrefix + "/sw.js", Summary: "The service worker for the site's own to import",
		Answers: file("text/javascript"),
	},
	{
		Name: "manifest", Method: http.MethodGet, Path: "/manifest.json", Summary: "The web app manifest: the site's own with missing members added, or a new one",
		Answers: file("application/manifest+json"),
	},
	{
		Name: "frame", Method: http.MethodGet, Path: DefaultPrefix + "/frame.html", Summary: "The document around custom HTML of pop-ups",
		Query: []api.Parameter{version}, Answers: file("text/html"),
	},
	{
		Name: "frameScript", Method: http.MethodGet, Path: DefaultPrefix + "/frame.js", Summary: "The script of that document",
		Query: []api.Parameter{version}, Answers: file("text/javascript"),
	},
	{
		Name: "image", Method: http.MethodGet, Path: DefaultPrefix + "/" + service.UploadsFolder + "{name}", Summary: "An image that the operator has uploaded",
		Answers: file("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"),
	},
}

var (
	// beacon is what sendBeacon sends text as.
	beacon  = []string{"text/plain"}
	version = api.Parameter{Name: "v", Kind: "string", Text: "The script's own version, so that the answer can be kept for good"}
)

func file(media ...string) []api.Answer {
	return []api.Answer{{Status: http.StatusOK, Media: media}, {Status: http.StatusNotModified}}
}
