// Package injector adds a few constant tags to HTML pages while they stream
// through a handler: a link to a web app manifest and an external script.
//
// The tags go right before whatever ends the document's head, where browsers still accept a manifest link. A
// small state machine finds the place. It follows the WHATWG tokenizer and the "in head" rules, reads the
// page as it passes, and holds back at most an unfinished tag name. Everything that it does not fully
// understand passes byte for byte: other types, encodings, partial answers, fragments, documents that end
// inside an open construct. So does a page whose Content-Security-Policy would block the script:
// [Writer.Blocked] and [CheckCSP] return the directive. Each page has one [Reason].
//
// The package knows neither push nor Caddy: it wraps an [net/http.ResponseWriter]. A middleware uses it like
// this:
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
