"""Every parameter and output of the docetaxel model, with unit, variability and source."""

from __future__ import annotations

from ...model import Output, Parameter
from . import course, pharmacology as pk, survival, tumour

_BRUNO = "Bruno 1996, J Pharmacokinet Biopharm 24:153; its table was not read"
_LABEL = "docetaxel label (Swiss text, reg. 62967)"
_FRIBERG = "Friberg 2002, J Clin Oncol 20:4713; values of DDMODEL00000224 (Netterberg 2017)"
_STRUEMPER = "Struemper 2025, CPT Pharmacometrics Syst Pharmacol 14:1006; docetaxel arm"
_RECIST = "RECIST 1.1, Eisenhauer 2009, Eur J Cancer 45:228"
_CHOSEN = "chosen by the authors of this model"

PARAMETERS = (
    Parameter(
        "CL", "L/h", 37.8, _BRUNO, "recalled", "clearance; BSA, AAG, age, albumin", "log-normal, CV 25 %"
    ),
    Parameter("V1", "L", pk.V1_TYPICAL, _BRUNO, "recalled", "central volume", "log-normal, CV 35 %"),
    Parameter("k12", "1/h", pk.K12, _BRUNO, "recalled", "transfer to the first peripheral compartment"),
    Parameter("k21", "1/h", pk.K21, _BRUNO, "recalled", "transfer from the first peripheral compartment"),
    Parameter("k13", "1/h", pk.K13, _BRUNO, "recalled", "transfer to the second peripheral compartment"),
    Parameter("k31", "1/h", pk.K31, _BRUNO, "recalled", "transfer from the second peripheral compartment"),
    Parameter("CL_liver", "1", pk.CL_LIVER, _LABEL, "read", "factor of clearance in liver impairment"),
    Parameter("CL_floor", "L/h/m^2", pk.CL_FLOOR, _CHOSEN, "chosen", "smallest typical clearance per area"),
    Parameter(
        "Base", "10^9/L", pk.BASE_TYPICAL, _FRIBERG, "read",
        "neutrophils at rest; sex, ECOG, prior therapy, AAG", "log-normal, variance 0.0640",
    ),
    Parameter(
        "MTT", "h", pk.MTT_TYPICAL, _FRIBERG, "read", "mean transit time", "log-normal, variance 0.0192"
    ),
    Parameter("gamma", "1", pk.GAMMA, _FRIBERG, "read", "feedback exponent"),
    Parameter(
        "slope", "L/mg", pk.SLOPE_TYPICAL, _FRIBERG, "read", "drug effect on proliferation; AAG",
        "log-normal, variance 0.128",
    ),
    Parameter("slope_floor", "1", pk.SLOPE_FLOOR, _CHOSEN, "chosen", "smallest factor of AAG on slope"),
    Parameter("count_sd", "1", course.COUNT_SD, _FRIBERG, "read", "sd of ln(count) about the model"),
    Parameter("febrile_hazard", "1/day", 0.035, _CHOSEN, "chosen", "febrile hazard at a count of zero"),
    Parameter(
        "TSb", "mm", tumour.TSB_TYPICAL, _STRUEMPER, "read", "sum of diameters at baseline; target lesions",
        "log-normal, variance 0.2645",
    ),
    Parameter(
        "KG", "1/week", tumour.KG_TYPICAL, _STRUEMPER, "read", "tumour growth; LDH",
        "log-normal, variance 0.8715",
    ),
    Parameter(
        "KS", "1/week", tumour.KS_TYPICAL, _STRUEMPER, "read", "tumour shrinkage at 75 mg/m2 every 3 weeks",
        "log-normal, variance 0.9174",
    ),
    Parameter(
        "residual_additive", "mm^2", tumour.RESIDUAL_ADDITIVE, _STRUEMPER, "read",
        "variance of a measured size",
    ),
    Parameter(
        "residual_proportional", "1", tumour.RESIDUAL_PROPORTIONAL, _STRUEMPER, "read",
        "variance of a measured size over its square",
    ),
    Parameter(
        "dose_lasts", "day", tumour.DOSE_LASTS, _CHOSEN, "chosen",
        "time for which a dose shrinks the tumour, in proportion to the dose over 75 mg/m2",
    ),
    Parameter("mu", "1", survival.MU, _STRUEMPER, "read", "mean of ln(survival in days) at the centres"),
    Parameter("mu_KG", "1", survival.MU_KG, _STRUEMPER, "read", "effect of KG / (KG + 0.109 per week)"),
    Parameter("mu_TSb", "1/mm", survival.MU_TSB, _STRUEMPER, "read", "effect of baseline size"),
    Parameter("mu_TTG", "1/week", survival.MU_TTG, _STRUEMPER, "read", "effect of time to growth"),
    Parameter("mu_albumin", "L/g", survival.MU_ALBUMIN, _STRUEMPER, "read", "effect of albumin"),
    Parameter("mu_protein", "L/g", survival.MU_PROTEIN, _STRUEMPER, "read", "effect of total protein"),
    Parameter("mu_NLR", "1", survival.MU_NLR, _STRUEMPER, "read", "effect of neutrophils over lymphocytes"),
    Parameter("sigma", "1", survival.SIGMA, _STRUEMPER, "read", "sd of ln(survival)"),
    Parameter("early", "day", survival.EARLY, _CHOSEN, "chosen", "its dose intensity enters survival"),
    Parameter(
        "new_lesion_hazard", "1/week", 0.025, _CHOSEN, "chosen",
        "hazard of a new lesion, x (KG / typical KG)^0.5",
    ),
    Parameter("progression", "1", survival.PROGRESSION, _RECIST, "read", "growth above the minimum"),
    Parameter("progression_mm", "mm", survival.PROGRESSION_MM, _RECIST, "read", "and at least so much"),
)  # fmt: skip

# A count this low is no measurement but still biology: after a high exposure the linear drug effect (not
# capped, as in the source) empties the marrow. The limit catches numerical nonsense. A size of 400 mm bounds
# a *baseline* (a rule of the population); a tumour that is followed to its progression may pass it.
OUTPUTS = (
    Output("anc", "10^9/L", "absolute neutrophil count", (1e-6, 60.0)),
    Output("anc_count", "10^9/L", "neutrophil count read by the clinic"),
    Output("tumour_size", "mm", "true sum of longest diameters, until progression or death", (0.1, 3000.0)),
    Output("tumour_measured", "mm", "measured sum of longest diameters"),
    Output("death_day", "day", "day of death, inf if none"),
    Output("progression_day", "day", "visit at which progression is seen, inf if none in life"),
    Output("pfs_day", "day", "progression or death, whichever comes first"),
    Output("febrile_day", "day", "first febrile neutropenia, inf if none"),
    Output("grade4_day", "day", "first count below 0.5, inf if none"),
    Output("toxicity_stop_day", "day", "end of treatment for toxicity, inf if none"),
    Output("treatment_end_day", "day", "end of treatment for any reason"),
    Output("anc_nadir", "10^9/L", "lowest true neutrophil count of the first cycle"),
    Output("anc_nadir_day", "day", "day of the lowest true count of the first cycle"),
    Output("grade4_days", "day", "time with a true count below 0.5 in the first cycle"),
    Output("cycles", "1", "cycles started"),
    Output("reductions", "1", "dose reductions"),
    Output("dose_total", "mg/m^2", "docetaxel given"),
    Output("dose_intensity", "1", "dose per time on treatment over the dose per time that was planned"),
)
