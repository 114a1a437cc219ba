// Which functions stand in the table of an instruction set? Included last by each kernels_*.cpp, after its lanes.
#pragma once

#include "attention.inl"
#include "linear.inl"
#include "quantise.inl"
#include "rows.inl"
#include "widen.inl"

namespace greenlight {

#define GL_JOIN_(a, b) a##b
#define GL_JOIN(a, b) GL_JOIN_(a, b)
#define GL_TEXT_(a) #a
#define GL_TEXT(a) GL_TEXT_(a)

extern const Kernels GL_JOIN(kernels_, GREENLIGHT_ISA) = {
    GL_TEXT(GREENLIGHT_ISA),
    GREENLIGHT_ISA::kNarrowRows,
    GREENLIGHT_ISA::kWideRows,
    GREENLIGHT_ISA::kFloatNarrowRows,
    GREENLIGHT_ISA::kFloatWideRows,
    GREENLIGHT_ISA::dequantise,
    GREENLIGHT_ISA::add,
    GREENLIGHT_ISA::softcap,
    GREENLIGHT_ISA::gate,
    GREENLIGHT_ISA::scale,
    GREENLIGHT_ISA::rms_norm,
    GREENLIGHT_ISA::quantise_row,
    GREENLIGHT_ISA::float_row,
    GREENLIGHT_ISA::linear_tiles,
    GREENLIGHT_ISA::rope_and_store,
    GREENLIGHT_ISA::scores,
    GREENLIGHT_ISA::softmax,
    GREENLIGHT_ISA::values,
    GREENLIGHT_ISA::logits,
};

}  // namespace greenlight
