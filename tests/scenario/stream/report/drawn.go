// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var (
	figurePattern = regexp.MustCompile(`(?s)<figure data-chart="([^"]*)" data-marks="(\d+)">(.*?)</figure>`)
	// Bars and dots are filled; axes and curves are lines.
	shapePattern = regexp.MustCompile(`<path [^>]*style="fill:#`)
)

// emptyCharts are the charts of a page that miss bars or points.
func emptyCharts(page string) (empty []string, charts int) {
	for _, figure := range figurePattern.FindAllStringSubmatch(page, -1) {
		charts++
		marks, _ := strconv.Atoi(figure[2])
		if shapes := len(shapePattern.FindAllString(figure[3], -1)); shapes < marks {
			empty = append(empty, figure[1])
		}
	}
	return empty, charts
}

// countCharts says how many charts report.html has.
func countCharts(out io.Writer, dir string) error {
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		return err
	}
	empty, charts := emptyCharts(string(page))
	if charts == 0 {
		return errors.New("report.html has no charts")
	}
	if len(empty) > 0 {
		return fmt.Errorf("report.html has %d charts, of which these are empty: %s", charts, strings.Join(empty, ", "))
	}
	fmt.Fprintf(out, "report.html: %d charts, all drawn\n", charts)
	return nil
}
