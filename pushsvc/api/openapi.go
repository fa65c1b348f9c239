package api

import _ "embed"

// OpenAPI is the document of the API (OpenAPI 3.1).
//
//go:embed openapi.json
var OpenAPI []byte
