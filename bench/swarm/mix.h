// What the simulated stakeholders ask for.
#pragma once

namespace fraudhub::config::v1 {
class Stakeholder;
}
namespace fraudhub::v1 {
class Filter;
}

namespace hub::swarm {

// Most take all they may see; every fifth institution asks for HIGH only, every seventh for phones, payment addresses and links; odd
// police units ask for three categories of fraud.
fraudhub::v1::Filter FilterFor(const fraudhub::config::v1::Stakeholder& stakeholder, int index);

}  // namespace hub::swarm
