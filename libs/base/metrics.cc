#include "libs/base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>


namespace hub::base {

struct Metrics::Impl {
  prometheus::Registry registry;
};

void Counter::Increment(double by) {
  if (handle_ != nullptr) static_cast<prometheus::Counter*>(handle_)->Increment(by);
}
double Counter::Value() const { return handle_ == nullptr ? 0 : static_cast<prometheus::Counter*>(handle_)->Value(); }

void Gauge::Set(double value) {
  if (handle_ != nullptr) static_cast<prometheus::Gauge*>(handle_)->Set(value);
}
void Gauge::Add(double by) {
  if (handle_ != nullptr) static_cast<prometheus::Gauge*>(handle_)->Increment(by);
}
double Gauge::Value() const { return handle_ == nullptr ? 0 : static_cast<prometheus::Gauge*>(handle_)->Value(); }

void Histogram::Observe(double value) {
  if (handle_ != nullptr) static_cast<prometheus::Histogram*>(handle_)->Observe(value);
}

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Counter Metrics::AddCounter(const std::string& name, const std::string& help, const MetricLabels& labels) {
  Counter counter;
  counter.handle_ = &prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels);
  return counter;
}

Gauge Metrics::AddGauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  Gauge gauge;
  gauge.handle_ = &prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels);
  return gauge;
}

Histogram Metrics::AddHistogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                                const MetricLabels& labels) {
  Histogram histogram;
  histogram.handle_ = &prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry).Add(labels, bounds);
  return histogram;
}

std::string Metrics::Exposition() const { return prometheus::TextSerializer().Serialize(impl_->registry.Collect()); }

const std::vector<double>& LatencyBounds() {
  static const std::vector<double> bounds = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                             0.05,    0.1,    0.25,    0.5,    1,     2.5,    5,     10,   60};
  return bounds;
}

}  // namespace hub::base
