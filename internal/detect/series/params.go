package series

// The whole setting; every series is judged with it. Decision 0022 tells where each figure comes from and how little the result moves when it is changed by
// a third. Noise is the mean size of the residual.
const (
	// Threshold is the Score from which a Verdict is an alert: nothing like it for 10,000 minutes, which is a week. It is the one setting that the accuracy
	// figures are given for.
	Threshold = perDecade * 4

	perDecade   = 0.8  // of the score, for each decade of minutes
	respects    = 4.0  // in which a sample can be extreme; all count the same
	stepAtMost  = 60.0 // minutes; rarer samples are judged as hourly ones
	marginValue = 2.0  // noises that a value must be beyond, or any trend is a row of records
	marginMean  = 0.5

	warmResidual int64 = 50  // samples
	warmDays           = 1.0 // of deviations

	// A record is worth the decades of samples seen, and more or less by how far it is outside, as a share of the range.
	recordGain   = 1.1  // for each decade of that share
	recordUnit   = 0.1  // of the range
	recordLeast  = -4.0 // decades of the share against its unit
	recordStep   = 0.2
	fades        = 1e-6 // of the range, with each sample: half of it in sixteen months of minutes
	everAdd      = 0.55
	everNoise    = 4.0 // noises that the residual must have
	driftAdd     = 0.15
	oddAdd       = -0.75 // the deviation from the season
	oddAfterDays = 3.0

	// Standing still.
	flatLeast = 12.0 // samples
	flatTimes = 4.0  // the longest run so far
	flatFades = 2.0  // per decade of further standing still

	// The tail of the residual's size counts by itself once there is enough of it.
	tailAdd    = -0.6
	tailNeeds  = 20000.0 // minutes after which half of it is believed
	tailAtMost = 6.0
	tailStart  = 0.05    // share of samples that the tail is fitted to
	tailTop    = 5.0     // samples beyond which ranks give way to the fit
	tailLearns = 2.5     // decades: what is rarer is learnt as if it were this rare, so that anomalies do not become usual
	tailMemory = 10000.0 // samples
	tailPrior  = 10.0    // weight, in samples, of the mean excess below
	tailExcess = 1.4     // quarter octaves
	scoreBins  = 12.0    // bins of the tail of scores per decade

	// What is learnt from one sample, and how fast.
	clipAt       = 3.0  // noises, by the levels
	clipNoise    = 6.0  // noises, by the noise
	clipProfile  = 12.0 // noises, by the seasonal profile
	noiseFast    = 1.0 / 30
	noiseSlow    = 1.0 / 2000
	mixFast      = 0.5 // the noise is so much of each
	mixSlow      = 0.3
	mixHour      = 0.3
	errorRate    = 1.0 / 500
	profileRate  = 0.15 // a day
	weekRate     = 0.3  // a week
	weekAfter    = 3.0  // days
	weekKnown    = 14.0 // days
	weekGain     = 0.7  // of the error without it that is left once the week is known
	seasonMemory = 7.0  // days, of the errors that tell whether a season is there
)

// rates at which the levels of the forecast follow.
var rates = [3]float64{0.1, 0.3, 0.7}
