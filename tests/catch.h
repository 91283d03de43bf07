// The one way tests include Catch2: version 2 (Debian 12) and 3 (Debian 13) differ in header and in Approx.
#pragma once
#ifdef HUB_CATCH2_V2
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>
using Catch::Approx;
#endif
