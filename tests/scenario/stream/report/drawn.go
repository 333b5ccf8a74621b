// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var (
	figurePattern = regexp.MustCompile(`(?s)<figure data-chart="([^"]*)" data-marks="(\d+)">(.*?)</figure>`)
	shapePattern  = regexp.MustCompile(`<(path|circle|rect|ellipse)`)
)

// emptyCharts are the charts of a page, as Chromium has drawn it, that miss
// shapes: no drawing has fewer than its bars, points and dots.
func emptyCharts(dom string) (empty []string, charts int) {
	for _, figure := range figurePattern.FindAllStringSubmatch(dom, -1) {
		charts++
		marks, _ := strconv.Atoi(figure[2])
		if shapes := len(shapePattern.FindAllString(figure[3], -1)); !strings.Contains(figure[3], "<svg") || shapes < marks {
			empty = append(empty, figure[1])
		}
	}
	return empty, charts
}

// countCharts says how many charts report.html has when Chromium has drawn it.
func countCharts(out io.Writer, dir string) error {
	dom, err := chromium(filepath.Join(dir, "report.html"), "--dump-dom")
	if err != nil {
		return err
	}
	empty, charts := emptyCharts(dom)
	if charts == 0 {
		return errors.New("report.html has no charts")
	}
	if len(empty) > 0 {
		return fmt.Errorf("report.html has %d charts, of which these are empty: %s", charts, strings.Join(empty, ", "))
	}
	fmt.Fprintf(out, "report.html: %d charts, all drawn\n", charts)
	return nil
}
