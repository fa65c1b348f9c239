//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// swappingSites change pages within one document.
func swappingSites() []site {
	return []site{
		htmxSite("htmx 2", "sites/node_modules/htmx.org/dist/htmx.min.js", "sites/node_modules/htmx-ext-head-support/head-support.js"),
		htmxSite("htmx 4", "sites/node_modules/htmx4/dist/htmx.min.js", "sites/node_modules/htmx4/dist/ext/hx-head.min.js"),
		{name: "Turbo", answer: turbo, behave: useTurbo, with: (*visitor).wantPush},
	}
}

func htmxSite(name, script, head string) site {
	return site{name: name, behave: useHTMX, with: withHTMX, answer: func(t *testing.T) string {
		mux := files(t, map[string]string{
			"/": "sites/htmx/index.html", "/two": "sites/htmx/two.html", "/bare": "sites/htmx/bare.html",
			"/list":    "sites/htmx/list.html",
			"/htmx.js": script, "/head.js": head, "/style.css": "", "/two.css": "",
		})
		mux.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, strings.ReplaceAll(source(t, "htmx/two.html"), "Two", "Added "+r.FormValue("task")))
		})
		return proxied(t, mux)
	}}
}

// useHTMX moves by boosted links and by the browser's history, which is loaded
// from the server, and loads fragments.
func useHTMX(v *visitor) {
	v.goTo("/")
	v.heading("Tasks")
	v.eval("void (window.kept = true)", nil)
	for range 2 {
		v.click("#two")
		v.heading("Two")
		v.wait(`document.title === "Two" && location.pathname === "/two"`)
		v.wantTag()
		v.click("#home")
		v.heading("Tasks")
		v.wantTag()
	}
	v.eval("history.back()", nil)
	v.heading("Two")
	v.wantTag()
	v.eval("history.forward()", nil)
	v.heading("Tasks")
	v.wantTag()

	v.click("#load")
	v.wait(`window.milk === 1 && !document.querySelector("#list .htmx-added")`)
	v.eval(`document.querySelectorAll("#list li").forEach((li) => li.removeAttribute("class"))`, nil) // htmx leaves an empty attribute
	v.want(`document.getElementById("list").innerHTML`, source(v.T, "htmx/list.html"))
	v.want(`fetch("/list", {headers: {"HX-Request": "true"}}).then((r) => r.text())`, source(v.T, "htmx/list.html"))
	v.click("#pick")
	v.wait(`document.getElementById("picked").textContent === "About two"`)
	v.wantTag()

	v.want("window.kept", "true") // all pages were one document
}

// withHTMX opens pages that htmx loads in other ways.
func withHTMX(v *visitor) {
	v.wantPush()
	v.click("#bare")
	v.heading("Bare")
	v.wantTag()
	v.click("#home")
	v.heading("Tasks")
	v.wantTag()
	v.click("#add")
	v.heading("Added Tea")
	v.wantTag()
	v.click("#home")
	v.heading("Tasks")
	v.wait(tags + " === 1")
	v.want("seen.prompts", "1")
}

func turbo(t *testing.T) string {
	page := func(title string) string {
		return strings.NewReplacer("{{title}}", title, "{{token}}", title).Replace(source(t, "turbo/page.html"))
	}
	mux := files(t, map[string]string{
		"/": page("One"), "/two": page("Two"), "/frame": "sites/turbo/frame.html",
		"/more":     strings.ReplaceAll(source(t, "turbo/frame.html"), "Details", "More"),
		"/turbo.js": "sites/node_modules/@hotwired/turbo/dist/turbo.es2017-umd.js",
	})
	mux.HandleFunc("POST /messages", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/vnd.turbo-stream.html; charset=utf-8")
		_, _ = io.WriteString(w, source(t, "turbo/message.html"))
	})
	mux.HandleFunc("POST /invalid", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, page("Wrong"))
	})
	mux.HandleFunc("POST /moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/two", http.StatusSeeOther)
	})
	return proxied(t, mux)
}

// useTurbo makes visits, previews, restorations, morphs, frames, streams and
// forms.
func useTurbo(v *visitor) {
	v.goTo("/")
	v.wait(`document.querySelector("#details #further")`)
	v.eval("void (window.kept = true)", nil)
	for _, visit := range []struct{ how, heading string }{
		{`document.getElementById("two").click()`, "Two"},
		{`document.getElementById("one").click()`, "One"},
		{`document.getElementById("two").click()`, "Two"}, // with a preview
		{`history.back()`, "One"},
		{`Turbo.visit("/two", {action: "replace"})`, "Two"},
		{`document.getElementById("moved").click()`, "Two"},
	} {
		v.eval(fmt.Sprintf(`new Promise((done) => { addEventListener("turbo:load", () => done(), {once: true}); %s })`, visit.how), nil)
		v.heading(visit.heading)
		v.wait(`document.querySelector("#details #further")`)
		v.wantTag()
		v.wantManifest()
	}
	v.eval(`new Promise((done) => { addEventListener("turbo:morph", () => done(), {once: true}); Turbo.session.refresh(location.href) })`, nil)
	v.wantTag()

	v.wait(`document.querySelector("#details #further")`)
	v.eval(`document.getElementById("details").loaded`, nil)
	v.click("#further")
	v.wait(`document.querySelector("#details p").textContent === "More"`)
	v.want(`document.getElementById("details").querySelectorAll("script").length`, "0")
	v.click("#send")
	v.wait(`document.querySelectorAll("#messages li").length === 1`)
	v.want(`fetch("/frame", {headers: {"Turbo-Frame": "details", Accept: "text/html, application/xhtml+xml"}}).then((r) => r.text())`, source(v.T, "turbo/frame.html"))
	v.wantTag()

	v.click("#invalid")
	v.heading("Wrong")
	v.wantTag()
	v.wantManifest()
	v.want("window.kept", "true")
}
