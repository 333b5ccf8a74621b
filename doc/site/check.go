// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	reference = regexp.MustCompile(`\b(?:href|src)="([^"]*)"`)
	identity  = regexp.MustCompile(`\bid="([^"]+)"`)
)

// check follows every link between the pages in the folder site, with its place in the
// page. It returns the dead ones, and the links that lead elsewhere, each once.
func check(site string) (dead, outward []string, err error) {
	places := map[string]map[string]bool{} // of each page, by its path
	texts := map[string]string{}
	err = filepath.WalkDir(site, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".html" || entry.Name() == "404.html" {
			return err
		}
		text, err := os.ReadFile(path)
		places[path], texts[path] = map[string]bool{}, string(text)
		for _, m := range identity.FindAllStringSubmatch(texts[path], -1) {
			places[path][html.UnescapeString(m[1])] = true
		}
		return err
	})
	if err == nil && len(texts) == 0 {
		err = fmt.Errorf("%s has no pages", site)
	}
	seen := map[string]bool{}
	for path, text := range texts {
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			link := html.UnescapeString(m[1])
			switch {
			case strings.Contains(link, ":"):
				if strings.HasPrefix(link, "http") && !seen[link] {
					seen[link] = true
					outward = append(outward, link)
				}
			case !leads(path, link, places):
				dead = append(dead, path+": "+link)
			}
		}
	}
	return dead, outward, err
}

// leads reports whether a link of a page leads to a file, and to a place in it.
func leads(page, link string, places map[string]map[string]bool) bool {
	path, place, _ := strings.Cut(link, "#")
	path, _, _ = strings.Cut(path, "?")
	path, err := url.PathUnescape(path)
	if err != nil {
		return false
	}
	target := page
	if path != "" {
		target = filepath.Join(filepath.Dir(page), filepath.FromSlash(path))
	}
	if info, err := os.Stat(target); err != nil {
		return false
	} else if info.IsDir() {
		target = filepath.Join(target, "index.html")
		if _, err := os.Stat(target); err != nil {
			return false
		}
	}
	place, err = url.PathUnescape(place)
	return err == nil && (place == "" || places[target] == nil || places[target][place])
}
