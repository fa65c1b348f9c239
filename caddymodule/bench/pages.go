//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// page is one document that the upstream serves under /name.
type page struct {
	name string
	body []byte
}

// loadPages reads the folder's pages, or generates one of each size without a folder. The same arguments
// return the same bytes in every process.
func loadPages(dir string, sizes []int) ([]page, error) {
	var all []page
	if dir == "" {
		for _, n := range sizes {
			all = append(all, page{sizeName(n), generatePage(n)})
		}
		return all, nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.html"))
	if err != nil {
		return nil, fmt.Errorf("looking for pages: %w", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a page: %w", err)
		}
		all = append(all, page{strings.TrimSuffix(filepath.Base(file), ".html"), body})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no *.html in %s", dir)
	}
	return all, nil
}

// sizeName returns a size's name in tables and paths: 2kB, 30kB, 2MB.
func sizeName(n int) string {
	if n >= 1_000_000 && n%1_000_000 == 0 {
		return fmt.Sprintf("%dMB", n/1_000_000)
	}
	return fmt.Sprintf("%dkB", n/1000)
}

// largestHead is the head's size of large pages: four of five real ones are smaller.
const largestHead = 33_000

// generatePage returns a page of n bytes whose head is a sixth of it, with what heads have: metadata, style
// sheets, inline styles and scripts, JSON-LD. The words are random, so that it compresses about as well as
// real pages.
func generatePage(n int) []byte {
	g := &generator{rand: rand.New(rand.NewPCG(uint64(n), 1))}
	head := min(n/6, largestHead)
	g.out.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
	fmt.Fprintf(&g.out, "<title>%s</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n", g.words(5))
	for i := 0; g.out.Len() < head; i++ {
		g.headPart(i)
	}
	g.out.WriteString("</head>\n<body class=\"page\">\n<main>\n")
	const end = "</main>\n</body>\n</html>\n"
	for g.out.Len() < n-1000 {
		g.article()
	}
	if missing := n - g.out.Len() - len(end); missing > 0 {
		g.out.WriteString(strings.Repeat(" ", missing))
	}
	g.out.WriteString(end)
	return g.out.Bytes()
}

type generator struct {
	rand *rand.Rand
	out  bytes.Buffer
}

var syllables = strings.Fields("ba ter mon ri sel ca du fen go hu is jo ker lan mi no or pa qui ra sto tu ul ver wi xa yes zo the and of in ing ed er")

func (g *generator) word() string {
	var b strings.Builder
	for range 1 + g.rand.IntN(3) {
		b.WriteString(syllables[g.rand.IntN(len(syllables))])
	}
	return b.String()
}

func (g *generator) words(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = g.word()
	}
	return strings.Join(all, " ")
}

func (g *generator) headPart(i int) {
	switch i % 6 {
	case 0:
		fmt.Fprintf(&g.out, "<meta property=\"og:%s\" content=\"%s\">\n", g.word(), g.words(12))
	case 1:
		fmt.Fprintf(&g.out, "<link rel=\"stylesheet\" href=\"/assets/%s-%08x.css\" media=\"all\">\n", g.word(), g.rand.Uint32())
	case 2:
		fmt.Fprintf(&g.out, "<script type=\"application/ld+json\">{\"@type\":\"%s\",\"name\":\"%s\",\"id\":%d}</script>\n", g.word(), g.words(20), g.rand.Uint32())
	case 3:
		g.out.WriteString("<style>")
		for range 6 {
			fmt.Fprintf(&g.out, ".%s-%s{margin:0 %dpx;color:#%06x}", g.word(), g.word(), g.rand.IntN(40), g.rand.IntN(1<<24))
		}
		g.out.WriteString("</style>\n")
	case 4:
		fmt.Fprintf(&g.out, "<script>window.%[1]s=window.%[1]s||[];for(var i=0;i<%[2]d;i++)%[1]s.push(\"%[3]s\")</script>\n", "x"+g.word(), g.rand.IntN(9), g.words(6))
	case 5:
		fmt.Fprintf(&g.out, "<!-- %s -->\n<link rel=\"preload\" as=\"font\" href=\"/fonts/%s.woff2\" crossorigin>\n", g.words(4), g.word())
	}
}

func (g *generator) article() {
	fmt.Fprintf(&g.out, "<article class=\"card card-%s\" id=\"a%d\"><h2><a href=\"/%s/%s.html\">%s</a></h2>\n",
		g.word(), g.out.Len(), g.word(), g.word(), g.words(4))
	fmt.Fprintf(&g.out, "<p>%s, <b>%s</b> %s.</p>\n<img src=\"/img/%08x.webp\" alt=\"%s\" width=\"320\" height=\"200\">\n</article>\n",
		g.words(14), g.words(2), g.words(20), g.rand.Uint32(), g.words(3))
}
