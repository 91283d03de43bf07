// Counters, gauges and histograms, exported in Prometheus' text format.
//
// One `Metrics` per process, made in main; each component makes its handles once, in its probe, and keeps them. Names follow
// fraudhub_<component>_<what>_<unit>[_total]. Labels come from small fixed sets plus the stakeholder's id; never an identifier.
// Thread safety: everything may be used from any thread. Handles are cheap to copy and live as long as the Metrics.
//
//   base::Counter accepted = metrics->AddCounter("fraudhub_ingest_reports_total", "Reports by verdict", {{"verdict", "accepted"}});
//   accepted.Increment();
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace hub::base {

using MetricLabels = std::map<std::string, std::string>;

class Counter {
 public:
  Counter() = default;  // counts nothing; a default handle is safe to use
  void Increment(double by = 1);
  double Value() const;

 private:
  friend class Metrics;
  void* handle_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void Set(double value);
  void Add(double by);
  double Value() const;

 private:
  friend class Metrics;
  void* handle_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void Observe(double value);

 private:
  friend class Metrics;
  void* handle_ = nullptr;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same series.
  Counter AddCounter(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Gauge AddGauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  // `bounds`: upper bounds of the buckets, ascending.
  Histogram AddHistogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                         const MetricLabels& labels = {});

  // All series in Prometheus' text exposition format 0.0.4.
  std::string Exposition() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Bucket bounds in seconds for a hop of the data walk: 50 us to 60 s.
const std::vector<double>& LatencyBounds();

}  // namespace hub::base
