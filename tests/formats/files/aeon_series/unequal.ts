@problemName unequal
@timestamps false
@missing False
@univariate true
@equalLength false
@classLabel true a b
@data
1.0,1.0,1.0:a
1.0,1.0,1.0,1.0,1.0:b
