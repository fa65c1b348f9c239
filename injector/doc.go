// Package injector adds a few constant tags to HTML pages while they stream
// through a handler: a link to a web app manifest and an external script.
//
// The tags go right before whatever ends the document's head, where browsers
// still honour a manifest link. The place is found by a small state machine that
// follows the WHATWG tokenizer and the "in head" rules, reads the page as it
// passes and holds back no more than an unfinished tag name. What is not fully
// understood (other types, encodings, partial answers, fragments, documents that
// end inside an open construct) passes byte for byte. So does a page whose
// Content-Security-Policy would block the script: [Writer.Blocked] and [CheckCSP]
// tell by which directive. Each page has one [Reason].
//
// The package knows neither push nor Caddy: it wraps an [net/http.ResponseWriter].
// A middleware uses it so:
//
//	if in.Classify(r) != "" {
//		return next.ServeHTTP(w, r)
//	}
//	iw := in.NewWriter(w, r)
//	if err := next.ServeHTTP(iw, in.PrepareRequest(r)); err != nil {
//		return err
//	}
//	return iw.Finish()
package injector
