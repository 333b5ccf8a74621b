// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"html"
	"os"
	"strings"
)

// The frame of a picture: a white ground, as a document may be dark, and a title
// over the chart. The numbers are the whole size in points.
const pictureFrame = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -%[3]d %[1]g %[2]g" width="%[4]g" height="%[5]g">
<rect x="0" y="-%[3]d" width="%[1]g" height="%[2]g" rx="6" fill="#fff"/>
<text x="8" y="-24" font-family="system-ui, sans-serif" font-size="11" font-weight="600" fill="#374151">%[6]s</text>
<text x="8" y="-10" font-family="system-ui, sans-serif" font-size="9" fill="#374151">%[7]s</text>
`

const (
	titleHeight  = 40  // points
	pictureScale = 1.6 // pixels for a point
)

// writePicture keeps the chart of the throughput as a file.
func writePicture(path string, s summary) error {
	c, ok := throughputChart(s)
	if !ok {
		return errors.New("no round of s2 passed: there is nothing to draw")
	}
	constants := s.constants(func(label string) bool { return label == "s2" })
	return os.WriteFile(path, []byte(c.framed(constants)), 0o644)
}

// framed is a picture of the chart, with its title and what is said below that.
func (c chart) framed(text string) string {
	width, height := c.size()
	height += titleHeight
	frame := fmt.Sprintf(pictureFrame, width, height, titleHeight, width*pictureScale, height*pictureScale,
		html.EscapeString(c.Title), html.EscapeString(text))
	return frame + strings.TrimSpace(string(c.SVG)) + "\n</svg>\n"
}

// size is what the chart says of itself, in points.
func (c chart) size() (width, height float64) {
	const view = `viewBox="0 0 `
	_, rest, _ := strings.Cut(string(c.SVG), view)
	must(fmt.Sscanf(rest, "%g %g", &width, &height))
	return width, height
}
