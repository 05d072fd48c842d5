"""Where every number of the model comes from, for the report's list of parameters."""

from __future__ import annotations

from ...model import Parameter

_TABLE = "public parameter sets of 10 adults (UVA/Padova-type, open simulator simglucose, MIT)"
_MEAL = "Dalla Man 2007, IEEE Trans Biomed Eng 54:1740"
_SENSOR = "Breton & Kovatchev 2008, J Diabetes Sci Technol 2:853; figures of the public simulator"
_LAW = "manufacturer's support pages"
_OURS = "chosen for this trial platform; no published value"
_CALIBRATED = (
    "calibrated on the control arm's time in range, mean and CV (Brown 2019), script in benchmarks/calibration"
)

# name, unit, geometric mean and SD of the logarithm over the ten adults, meaning
_FREE = (
    ("Gb", "mg/dL", 142.6, 0.044, "basal glucose"),
    ("Ib", "pmol/L", 107.0, 0.16, "basal insulin"),
    ("EGPb", "mg/kg/min", 2.49, 0.13, "basal glucose production"),
    ("kabs", "1/min", 0.134, 1.05, "intestinal absorption"),
    ("kmax", "1/min", 0.0371, 0.32, "fastest gastric emptying"),
    ("kmin", "1/min", 0.00649, 0.54, "slowest gastric emptying"),
    ("b", "1", 0.777, 0.15, "part of the meal at the first flex of emptying"),
    ("d", "1", 0.168, 0.38, "part of the meal at the second flex of emptying"),
    ("Vg", "dL/kg", 1.84, 0.077, "glucose volume"),
    ("Vi", "L/kg", 0.0509, 0.26, "insulin volume"),
    ("Vmx", "mg/kg/min per pmol/L", 0.0458, 0.60, "insulin-dependent utilisation"),
    ("Km0", "mg/kg", 236.0, 0.10, "Michaelis constant of utilisation"),
    ("k1", "1/min", 0.0601, 0.30, "glucose, plasma to tissue"),
    ("k2", "1/min", 0.120, 0.41, "glucose, tissue to plasma"),
    ("p2u", "1/min", 0.0322, 0.34, "delay of insulin action"),
    ("m1", "1/min", 0.189, 0.34, "insulin, liver to plasma"),
    ("m2", "1/min", 0.267, 0.29, "insulin, plasma to liver"),
    ("ki", "1/min", 0.00748, 0.54, "delay of insulin on the liver"),
    ("kp2", "1/min", 0.00388, 0.40, "liver glucose effectiveness"),
    ("kp3", "mg/kg/min per pmol/L", 0.00843, 0.49, "liver insulin action"),
    ("kd", "1/min", 0.0158, 0.12, "subcutaneous insulin, first to second depot"),
    ("ksc", "1/min", 0.0921, 0.28, "subcutaneous glucose delay"),
    ("ka1", "1/min", 0.00328, 0.26, "insulin absorption, first depot"),
    ("ka2", "1/min", 0.0153, 0.31, "insulin absorption, second depot"),
)

PARAMETERS: tuple[Parameter, ...] = (
    *(
        Parameter(name, unit, typical, _TABLE, "derived", meaning, f"log-normal (logit-normal for b, d), log-SD {sd:g}")
        for name, unit, typical, sd, meaning in _FREE
    ),
    Parameter("f", "1", 0.9, _MEAL, "read", "part of carbohydrate that appears in plasma"),
    Parameter("ke1", "1/min", 0.0005, _MEAL, "read", "renal excretion rate"),
    Parameter("ke2", "mg/kg", 339.0, _MEAL, "read", "renal threshold"),
    Parameter("Fsnc", "mg/kg/min", 1.0, _MEAL, "read", "utilisation of the nervous system"),
    Parameter("HEb", "1", 0.6, _MEAL, "read", "basal hepatic extraction"),
    Parameter("eating_speed", "g/min", 5.0, "public simulator", "read", "carbohydrate eaten a minute"),
    Parameter("sensor_memory", "1", 0.7, _SENSOR, "read", "autoregression of the sensor error"),
    Parameter("sensor_xi", "mg/dL", -5.47, _SENSOR, "read", "Johnson location"),
    Parameter("sensor_lambda", "mg/dL", 15.9574, _SENSOR, "read", "Johnson scale"),
    Parameter("sensor_gamma", "1", -0.5444, _SENSOR, "read", "Johnson shape"),
    Parameter("sensor_delta", "1", 1.6898, _SENSOR, "read", "Johnson shape"),
    Parameter(
        "sensor_error",
        "1",
        1.5,
        "gives about 8 % MARD, as a current sensor (Garg 2022)",
        "chosen",
        "factor on the sensor error",
    ),
    Parameter(
        "sensor_gaps",
        "1",
        0.03,
        "sensor use 96-97 % (Brown 2019, manufacturer's summary)",
        "read",
        "share of two-hour blocks without readings",
    ),
    Parameter("pump_basal_step", "U/hour", 0.05, "pump row of the public simulator", "read", "step of the basal rate"),
    Parameter("pump_bolus_step", "U", 0.05, "pump row of the public simulator", "read", "step of a bolus"),
    Parameter(
        "carb_estimate_bias", "1", 0.80, _CALIBRATED, "chosen", "carbohydrate a person counts over what is eaten"
    ),
    Parameter(
        "sensitivity_block_sd",
        "1",
        0.44,
        _CALIBRATED,
        "chosen",
        "log-SD of sensitivity between three-hour blocks, cut at two",
    ),
    Parameter("sensitivity_day_sd", "1", 0.3, _OURS, "chosen", "log-SD of sensitivity between days, cut at two"),
    Parameter("sensitivity_circadian", "1", 0.3, _OURS, "chosen", "swing of insulin sensitivity over the day"),
    Parameter("meal_scale", "1", 1.2, _OURS, "chosen", "factor on six meals of 55, 15, 70, 15, 80 and 12 g"),
    Parameter("meal_cv", "1", 0.25, _OURS, "chosen", "CV of a meal's size"),
    Parameter("carb_estimate_sd", "1", 0.4, _OURS, "chosen", "log-SD of carbohydrate counting"),
    Parameter("missed_bolus", "1", 0.25, _OURS, "chosen", "share of meals without a bolus"),
    Parameter("missed_snack_bolus", "1", 0.5, _OURS, "chosen", "further share of snacks without a bolus"),
    Parameter("basal_bias", "1", 0.85, _OURS, "chosen", "programmed basal rate over the need"),
    Parameter("basal_sd", "1", 0.2, _OURS, "chosen", "log-SD of the programmed basal rate"),
    Parameter("carb_ratio_sd", "1", 0.2, _OURS, "chosen", "log-SD of the programmed carbohydrate ratio"),
    Parameter("rescue_below", "mg/dL", 65.0, _OURS, "chosen", "16 g of sugar below this reading, again after 15 min"),
    Parameter("symptoms_below", "mg/dL", 54.0, _OURS, "chosen", "plasma glucose that is felt without a sensor"),
    Parameter(
        "correct_high_above",
        "mg/dL",
        300.0,
        _OURS,
        "chosen",
        "an awake person corrects above this reading, every three hours at most",
    ),
    Parameter(
        "counter_regulation",
        "mg/kg/min per mg/dL",
        0.0,
        _OURS,
        "chosen",
        "rise of glucose production below 60 mg/dL; off",
    ),
    Parameter("iob_minutes", "minute", 55.0, _OURS, "chosen", "each of two compartments of insulin on board"),
    Parameter("stop_at", "mg/dL", 70.0, _LAW, "read", "basal stops at this predicted glucose"),
    Parameter("reduce_below", "mg/dL", 112.5, _LAW, "read", "basal falls below this predicted glucose"),
    Parameter("increase_above", "mg/dL", 160.0, _LAW, "read", "basal rises above this predicted glucose"),
    Parameter("correct_above", "mg/dL", 180.0, _LAW, "read", "automatic correction from this predicted glucose on"),
    Parameter("correction_share", "1", 0.6, _LAW, "read", "share of the calculated correction"),
    Parameter("correction_target", "mg/dL", 110.0, _LAW, "read", "target of the automatic correction"),
    Parameter("rise_per_mg_dl", "1/(mg/dL)", 0.0125, _OURS, "chosen", "rise of the basal factor above the threshold"),
    Parameter("highest_factor", "1", 2.0, _OURS, "chosen", "largest basal factor"),
    Parameter("correction_cf_factor", "1", 1.5, _OURS, "chosen", "caution in the automatic correction"),
)
