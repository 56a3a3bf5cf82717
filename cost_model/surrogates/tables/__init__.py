"""Table models: what a result table alone teaches, with trees and medians. The home of scikit-learn, and the floor that
a model that reads programs has to beat."""
