//! The tables and plots of a run as one page.
//!
//! **Invariant**: the page is one file: no script, no font, no picture from elsewhere.

use std::fmt::Write;

use anyhow::anyhow;
use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, ValueFormatter},
    },
    prelude::*,
};

use crate::{
    bars::Verdict,
    results::Results,
    table::{cell, short},
    workloads::About,
};

/// A contender's name and its points.
type Line = (String, Vec<(f64, f64)>);

/// The page.
pub(crate) fn html(
    results: &Results,
    workloads: &[&About],
    source: &str,
    verdicts: &[Verdict],
) -> anyhow::Result<String> {
    let mut page = String::from(HEAD);
    put_figures(&mut page, results, workloads)?;
    put_bars(&mut page, source, verdicts)?;
    for about in workloads {
        put_plot(&mut page, results, about)?;
    }
    Ok(page)
}

fn put_bars(page: &mut String, source: &str, verdicts: &[Verdict]) -> anyhow::Result<()> {
    write!(
        page,
        "<h2>Bars</h2><p>{source}.</p><table><tr><th>workload<th>figure<th>bar<th>reached<th>met"
    )?;
    for Verdict {
        workload,
        figure,
        bar,
        reached,
        met,
    } in verdicts
    {
        let met = if *met { "yes" } else { "<b>no</b>" };
        write!(
            page,
            "<tr><td>{workload}<td>{figure}<td>{bar}<td>{reached:.3}<td>{met}"
        )?;
    }
    *page += "</table>";
    Ok(())
}

fn put_figures(page: &mut String, results: &Results, workloads: &[&About]) -> anyhow::Result<()> {
    *page += "<h2>Medians, ratios to raw-tokio, and spreads</h2><table><tr><th>workload<th>figure";
    for contender in &results.contenders {
        write!(page, "<th>{contender}")?;
    }
    for about in workloads {
        for (figure, unit) in about.figures {
            write!(page, "<tr><td>{}<td>{figure}, {unit}", about.title)?;
            for contender in &results.contenders {
                match cell(results, contender, about.name, figure) {
                    Some((median, rest)) => write!(page, "<td>{median}<br><small>{rest}</small>")?,
                    None => *page += "<td>",
                }
            }
        }
    }
    *page += "</table>";
    Ok(())
}

/// The plot of a workload, if it has one.
fn put_plot(page: &mut String, results: &Results, about: &About) -> anyhow::Result<()> {
    let lines = results
        .contenders
        .iter()
        .map(|name| (name.clone(), results.curve(name, about.name)));
    let lines: Vec<Line> = lines.filter(|(_, points)| !points.is_empty()).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let kind = Kind::of(about);
    let title = match kind {
        Kind::Latency => format!("Latency: {}", about.title),
        Kind::Throughput => "Throughput against calls in flight: 64 B on one connection".to_owned(),
        Kind::Memory => format!("Memory against connections: {}", about.title),
    };
    write!(page, "<h2>{title}</h2><p>")?;
    for (index, (name, _)) in lines.iter().enumerate() {
        let RGBColor(red, green, blue) = color(index);
        write!(
            page,
            "<i style='background:rgb({red},{green},{blue})'></i>{name} "
        )?;
    }
    write!(page, "</p>{}", plot(&lines, kind)?)?;
    Ok(())
}

const HEAD: &str = "<!doctype html><meta charset=utf-8><title>Calls between processes</title>\
<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:3px 6px;\
text-align:right;white-space:nowrap}td:first-child{text-align:left}small{color:#666}td:first-child{white-space:normal}\
i{display:inline-block;width:1.5em;height:3px;margin:0 .4em 4px 1.2em}svg{max-width:100%}</style>\
<h1>Calls between processes</h1>";

/// Colours that are told apart on white.
const COLORS: [RGBColor; 9] = [
    RGBColor(204, 0, 51),
    RGBColor(255, 140, 150),
    RGBColor(150, 150, 150),
    RGBColor(0, 0, 0),
    RGBColor(0, 90, 200),
    RGBColor(0, 150, 90),
    RGBColor(230, 130, 0),
    RGBColor(130, 60, 180),
    RGBColor(60, 180, 230),
];

const fn color(index: usize) -> RGBColor {
    COLORS[index % COLORS.len()]
}

/// What a plot shows.
#[derive(Clone, Copy)]
enum Kind {
    Latency,
    Throughput,
    Memory,
}

impl Kind {
    fn of(about: &About) -> Self {
        match about.name {
            "depth-64" => Self::Throughput,
            "memory" => Self::Memory,
            _ => Self::Latency,
        }
    }

    const fn axes(self) -> [&'static str; 2] {
        match self {
            Self::Latency => ["percentile", "microseconds"],
            Self::Throughput => ["calls in flight", "calls a second"],
            Self::Memory => ["connections", "memory of the server, KB"],
        }
    }

    /// Where a point is on the horizontal axis. Percentiles are spread by how rare the rest is: 90, 99 and 99.9 are as far
    /// from each other.
    fn place(self, x: f64) -> f64 {
        match self {
            Self::Latency => 100.0 / (100.0 - x),
            Self::Throughput | Self::Memory => x,
        }
    }

    fn label(self, place: f64) -> String {
        match self {
            Self::Latency => format!("{}", (1e6 * (1.0 - 1.0 / place)).round() / 1e4),
            Self::Throughput | Self::Memory => format!("{place:.0}"),
        }
    }
}

/// One plot as SVG.
fn plot(lines: &[Line], kind: Kind) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (900, 480)).into_drawing_area();
        area.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
        let points = || lines.iter().flat_map(|(_, points)| points);
        let least = points()
            .map(|point| point.1)
            .fold(f64::MAX, f64::min)
            .max(0.001);
        let most = points()
            .map(|point| point.1)
            .fold(0.0, f64::max)
            .max(least * 2.0);
        let last = points().map(|point| point.0).fold(1.0, f64::max);
        let log = |from, to| (from..to).log_scale();
        let last = kind.place(last);
        match kind {
            Kind::Memory => draw(&area, lines, kind, 0.0..last, 0.0..most * 1.05)?,
            _ => draw(
                &area,
                lines,
                kind,
                log(1.0, last),
                log(least / 1.1, most * 1.1),
            )?,
        }
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(svg)
}

fn draw<X, Y>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    lines: &[Line],
    kind: Kind,
    x: X,
    y: Y,
) -> anyhow::Result<()>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let lost = |error: DrawingAreaErrorKind<_>| anyhow!("{error}");
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(x, y)
        .map_err(lost)?;
    let (x_label, y_label) = (
        |place: &f64| kind.label(*place),
        |value: &f64| short(*value),
    );
    let mut mesh = chart.configure_mesh();
    let [x_desc, y_desc] = kind.axes();
    mesh.x_desc(x_desc)
        .y_desc(y_desc)
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label);
    mesh.label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 15));
    mesh.light_line_style(RGBColor(240, 240, 240))
        .bold_line_style(RGBColor(215, 215, 215));
    mesh.draw().map_err(lost)?;
    for (index, (_, points)) in lines.iter().enumerate() {
        let places = points.iter().map(|(x, y)| (kind.place(*x), *y));
        let series = LineSeries::new(places, color(index).stroke_width(2)).point_size(2);
        chart.draw_series(series).map_err(lost)?;
    }
    Ok(())
}
