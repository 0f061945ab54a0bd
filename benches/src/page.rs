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
                write!(page, "<td>{}", cell(results, contender, about.name, figure))?;
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
    let axes = match about.name {
        "depth-64" => ["calls in flight", "calls a second"],
        "memory" => ["connections", "memory of the server, KB"],
        _ => ["percentile", "microseconds"],
    };
    let title = match axes[0] {
        "percentile" => format!("Latency: {}", about.title),
        "connections" => format!("Memory against connections: {}", about.title),
        _ => "Throughput against calls in flight: 64 B on one connection".to_owned(),
    };
    write!(page, "<h2>{title}</h2>{}", plot(&lines, axes)?)?;
    Ok(())
}

const HEAD: &str = "<!doctype html><meta charset=utf-8><title>Calls between processes</title>\
<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:3px 6px;\
text-align:right;white-space:nowrap}td:first-child{text-align:left}</style><h1>Calls between processes</h1>";

/// One plot as SVG.
fn plot(lines: &[Line], axes: [&str; 2]) -> anyhow::Result<String> {
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
        match axes[0] {
            "calls in flight" => draw(
                &area,
                lines,
                axes,
                (1.0..last).log_scale(),
                (least..most).log_scale(),
            )?,
            "connections" => draw(&area, lines, axes, 0.0..last, 0.0..most * 1.05)?,
            _ => draw(&area, lines, axes, 0.0..100.0, (least..most).log_scale())?,
        }
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(svg)
}

fn draw<X, Y>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    lines: &[Line],
    axes: [&str; 2],
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
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(axes[0])
        .y_desc(axes[1])
        .y_label_formatter(&|value| short(*value));
    mesh.draw().map_err(lost)?;
    for (index, (name, points)) in lines.iter().enumerate() {
        let color = Palette99::pick(index).stroke_width(2);
        let series = LineSeries::new(points.iter().copied(), color).point_size(2);
        let drawn = chart.draw_series(series).map_err(lost)?;
        drawn
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    }
    let mut labels = chart.configure_series_labels();
    labels.background_style(WHITE.mix(0.8)).border_style(BLACK);
    labels
        .position(SeriesLabelPosition::UpperLeft)
        .draw()
        .map_err(lost)
}
